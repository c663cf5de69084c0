"""Patients, formats, sites and splits: where the images of a study are."""

"""Patients, formats, preprocessing, splits and sites: where the images of a study are."""

"""A finished model on other patients: scores, masks, overlays."""

"""A synthetic five-hospital cohort, made from a template: no patient is in it."""

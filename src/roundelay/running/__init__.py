"""A study into a run folder: run, resume, leave one site out, submit."""

"""How good a model is: overlap, surface distance, and their summary over patients."""

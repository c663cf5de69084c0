"""The names that keys of a study had in earlier versions: each is answered with that of today."""

RENAMED = {
    "recipe.stand_in": "channel_dropout",
    "recipe.calibrate": "recalibrate_batchnorm",
    "recipe.calibration_slices": "recalibration_slices",
    "recipe.proximal": "fedprox_mu",
    "recipe.average = trail": "last_round",
    "evaluation.flips": "test_time_augmentation",
}
"""Keys with their section, and values as ``section.key = value``."""

"""A patient's slices and masks as arrays."""

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.lgg import read_image, read_mask
from roundelay.data.patients import Patient


def read_images(patient: Patient) -> NDArray[np.uint8]:
    """All slices of a patient, uint8 ``[slices, height, width, channels]``."""
    return np.stack([read_image(path) for path in patient.images])


def read_masks(patient: Patient, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """All masks of a patient, bool ``[slices, height, width]``."""
    return np.stack([read_mask(path, shape) for path in patient.masks])

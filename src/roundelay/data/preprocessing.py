"""From a slice to what the network sees: a square of the patient, and a common grey scale."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MARGIN = 4
"""Pixels left around the brain."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How slices are shown to the network; travels in the model file."""

    intensity: str
    crop: str
    size: int


@dataclass(frozen=True)
class CropGeometry:
    """A patient's square (top, left, side; it may reach over the edge) and scale, by channel."""

    top: int
    left: int
    side: int
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """left, upper, right, lower: as Pillow crops."""
        return self.left, self.top, self.left + self.side, self.top + self.side


def geometry_of(images: NDArray[np.uint8], preprocessing: Preprocessing) -> CropGeometry:
    """The geometry of one patient from all its slices, uint8 ``[slices, height, width, channels]``.

    Brain is where the mean over the channels exceeds a tenth of its 99th percentile.
    """
    brightness = images.mean(axis=-1, dtype=np.float32)
    inside = brightness > max(0.1 * float(np.percentile(brightness, 99)), 1.0)
    height, width = images.shape[1:3]
    top, left, side = 0, 0, max(height, width)
    if preprocessing.crop == "brain" and inside.any():
        top, left, side = _square(inside)
    else:
        top, left = (height - side) // 2, (width - side) // 2
    brain = images[inside] if inside.any() else images.reshape(-1, images.shape[-1])
    if preprocessing.intensity == "zscore":
        offset, scale = brain.mean(axis=0, dtype=np.float64), brain.std(axis=0, dtype=np.float64)
    else:
        low, high = np.percentile(brain, (1, 99), axis=0)
        offset, scale = low, high - low
    scale = np.maximum(scale, 1.0)  # a channel that is one grey level: no division by nothing
    return CropGeometry(top, left, side, tuple(map(float, offset)), tuple(map(float, scale)))


def _square(inside: NDArray[np.bool_]) -> tuple[int, int, int]:
    """The square around the brain. Rows and columns with less than 0.5 % of brain are noise."""
    slices, height, width = inside.shape
    rows = np.flatnonzero(inside.sum(axis=(0, 2)) > 0.005 * slices * width)
    columns = np.flatnonzero(inside.sum(axis=(0, 1)) > 0.005 * slices * height)
    if not len(rows) or not len(columns):
        return (
            (height - max(height, width)) // 2,
            (width - max(height, width)) // 2,
            max(height, width),
        )
    (top, bottom), (left, right) = rows[[0, -1]], columns[[0, -1]]
    side = min(max(bottom - top, right - left) + 1 + 2 * MARGIN, max(height, width))
    return int(top + bottom + 1 - side) // 2, int(left + right + 1 - side) // 2, int(side)


def cut_slice(image: NDArray[np.uint8], geometry: CropGeometry, size: int) -> NDArray[np.uint8]:
    """Cut the patient's square out of a slice and resize it; grey levels stay 8 bits."""
    square = Image.fromarray(image).crop(geometry.box)
    if geometry.side != size:
        square = square.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(square)

"""The smallest cohort that can be learnt from: an ellipse of a head, a blob bright in channel 1."""

import zlib

import numpy as np
from numpy.typing import NDArray

from roundelay.phantom.exam import Exam


def draw_toy(rng: np.random.Generator, hospital: str, *, slices: int, size: int) -> Exam:
    """An exam of ``[slices, size, size]`` voxels; the lesion is in half of the slices."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    width, height = rng.uniform(0.58, 0.72), rng.uniform(0.75, 0.88)
    head = (x / width) ** 2 + (y / height) ** 2
    masks = _lesion(rng, x, y, slices) & (head < 0.8)
    # A hospital's grey levels come from its name, so that sites differ and patients of one don't.
    levels = np.random.default_rng(zlib.crc32(hospital.encode())).uniform(0.7, 1.3, 3)
    tissue = np.where(head < 1, np.where(head < 0.85, 80.0, 30.0), 0.0)
    images = np.repeat(np.repeat(tissue[None, ..., None], slices, 0), 3, 3)
    images[masks] += np.array((-25, 85, 15))
    images = images * levels + rng.normal(0, 4, images.shape)
    half = (size - 1) / 2
    return Exam(images, masks, int(rng.integers(20, 75)), (5.0, 1.0, 1.0), (half, half, 0.0))


def _lesion(
    rng: np.random.Generator, x: NDArray[np.float64], y: NDArray[np.float64], slices: int
) -> NDArray[np.bool_]:
    angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.18, 0.3)
    offset = np.hypot(x - 0.3 * np.cos(angle), y - 0.4 * np.sin(angle))
    first, count = int(rng.integers(0, slices // 2 + 1)), (slices + 1) // 2
    found = np.zeros((slices, *x.shape), bool)
    for number in range(count):
        share = np.sin(np.pi * (number + 1) / (count + 1))
        found[min(first + number, slices - 1)] = offset < radius * (0.5 + 0.5 * share)
    return found

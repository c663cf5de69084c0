"""Mean and spread of a head's grey levels, without the few voxels that are far from all others."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

FAR = 100.0
"""Standard deviations from the mean at which a voxel is no grey level: one in ten thousand at most
can be so far away. The brightest vessels are at 15."""

Levels = tuple[NDArray[np.float64], NDArray[np.float64]]


def levels_of(voxels: NDArray[Any]) -> Levels:
    """Mean and standard deviation by channel of ``[voxel, channel]``. Of more than 8 bits, voxels
    that are `FAR` from the others are not counted: one of a billion among levels of 500 would leave
    nothing of these."""
    mean, deviation = voxels.mean(axis=0, dtype=np.float64), voxels.std(axis=0, dtype=np.float64)
    if voxels.dtype == np.uint8:
        return mean, deviation
    for channel, (near, count) in enumerate(_near(voxels, mean, deviation)):
        if count:
            mean[channel] = near.mean(dtype=np.float64)
            deviation[channel] = near.std(dtype=np.float64)
    return mean, deviation


def far_voxels(voxels: NDArray[Any]) -> list[int]:
    """How many voxels of each channel are far from all others, and not counted."""
    if voxels.dtype == np.uint8 or not len(voxels):
        return [0] * voxels.shape[-1]
    mean, deviation = voxels.mean(axis=0, dtype=np.float64), voxels.std(axis=0, dtype=np.float64)
    return [count for _, count in _near(voxels, mean, deviation)]


def _near(
    voxels: NDArray[Any], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> Iterator[tuple[NDArray[Any], int]]:
    """Of each channel the voxels that are near the others, and the number of those that are not;
    what hid behind the furthest is found in its turn."""
    for channel, own in enumerate(np.moveaxis(voxels, -1, 0)):
        near, middle, spread = own, mean[channel], deviation[channel]
        while spread > 0 and (far := _is_far(near, middle, spread)).any():
            near = near[~far]
            middle, spread = near.mean(dtype=np.float64), near.std(dtype=np.float64)
        yield near, len(own) - len(near)


def _is_far(own: NDArray[Any], middle: float, spread: float) -> NDArray[np.bool_]:
    low, high = float(own.min()), float(own.max())
    if max(high - middle, middle - low) <= FAR * spread:
        return np.zeros(len(own), bool)
    far: NDArray[np.bool_] = np.abs(own.astype(np.float64) - middle) > FAR * spread
    return far

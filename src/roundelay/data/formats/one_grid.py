"""Channels of an exam brought together: onto one grid, and to one type of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR = 1e-3
"""Of a voxel: what inverting an affine may move a place by, and more."""


def resampled(
    voxels: NDArray[Any],
    affine: NDArray[np.float64],
    onto: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """A channel that lies by `affine`, on the grid `onto` of that `shape`: linear between voxels,
    within half a voxel of its edge what stands there, beyond that what stands in its corner."""
    from scipy.ndimage import affine_transform

    there = np.linalg.inv(affine) @ onto
    found: NDArray[np.float32] = affine_transform(
        voxels.astype(np.float32), there[:3, :3], there[:3, 3], shape, order=1, mode="nearest"
    )
    found[_outside(there, voxels.shape, shape)] = voxels[0, 0, 0]
    return found


def _outside(
    there: NDArray[np.float64], source: tuple[int, ...], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Which voxels of a grid lie more than half a voxel of the source beyond its edge."""
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    outside = np.zeros(shape, dtype=bool)
    for axis, length in enumerate(source):
        place = there[axis, 0] * i + there[axis, 1] * j + there[axis, 2] * k + there[axis, 3]
        outside |= (place < -0.5 - NEAR) | (place > length - 0.5 + NEAR)
    return outside


def of_one_type(channels: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """All of the smallest type that holds each of them: integers stay what they are.

    Bytes become 16 bits: those of 8 are slices of the LGG set's layout, which have three channels.
    """
    kept = [channel for channel in channels if channel.any()] or channels
    kind = np.result_type(*(channel.dtype for channel in kept))
    kind = np.dtype(np.int16) if kind.itemsize == 1 else kind
    kind = kind if kind.itemsize <= 4 else np.dtype(np.float32)
    return [channel.astype(kind.newbyteorder("="), copy=False) for channel in channels]

"""Channels of an exam brought together: onto one grid, and to one type of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def resampled(
    voxels: NDArray[Any],
    affine: NDArray[np.float64],
    onto: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """A channel that lies by `affine`, on the grid `onto` of that `shape`: linear between voxels,
    beyond its edge 0."""
    from scipy.ndimage import affine_transform

    there = np.linalg.inv(affine) @ onto
    found: NDArray[np.float32] = affine_transform(
        voxels.astype(np.float32), there[:3, :3], there[:3, 3], shape, order=1
    )
    return found


def of_one_type(channels: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """All of the smallest type that holds each of them: integers stay what they are.

    Bytes become 16 bits: those of 8 are slices of the LGG set's layout, which have three channels.
    """
    kept = [channel for channel in channels if channel.any()] or channels
    kind = np.result_type(*(channel.dtype for channel in kept))
    kind = np.dtype(np.int16) if kind.itemsize == 1 else kind
    kind = kind if kind.itemsize <= 4 else np.dtype(np.float32)
    return [channel.astype(kind.newbyteorder("="), copy=False) for channel in channels]

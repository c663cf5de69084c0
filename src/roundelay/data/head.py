"""Which voxels are of the patient: grey levels are measured in them, a crop is laid around them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

CUT_OUT = 0.2
"""Part of a channel that is one value, the border's, from which the head was cut out before."""

BRIGHT = 0.1
"""Part of the height of nearly all voxels above the background that a voxel of the head has."""

ERODED = 0.11
"""Of the square root of a slice's head area: how far from its edge the inner head begins."""


def head_of(images: NDArray[Any]) -> NDArray[np.bool_]:
    """Bool ``[slice, row, column]`` of ``[slice, row, column, channel]``.

    Of 8 bits: where the mean over the channels exceeds a tenth of its 99th percentile. Of other
    numbers: where the head was cut out of its surroundings, all that is not the border's value;
    else what is further from it than a tenth of the 99th percentile of that distance, over the
    mean of the channels, each on its own scale. Channels of one value say nothing.
    """
    if images.dtype == np.uint8:
        brightness = images.mean(axis=-1, dtype=np.float32)
        bright: NDArray[np.bool_] = brightness > max(
            BRIGHT * float(np.percentile(brightness, 99)), 1.0
        )
        return bright
    cut_out = np.zeros(images.shape[:3], dtype=bool)
    total, counted = np.zeros(images.shape[:3], dtype=np.float32), 0
    for channel in np.moveaxis(images, -1, 0):
        background = _border_value(channel)
        other = channel != background
        if not other.any():
            continue
        if 1 - np.count_nonzero(other) / other.size > CUT_OUT:
            cut_out |= other
            continue
        distance = np.abs(channel.astype(np.float32) - np.float32(background))
        total += distance / max(float(np.percentile(distance, 99)), 1e-30)
        counted += 1
    if cut_out.any() or not counted:
        return cut_out
    return total / np.float32(counted) > BRIGHT


def inner_of(head: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The head without its rim, slice by slice: holes filled, then eroded. For statistics alone:
    scalp and skull differ between scanners more than the brain does. All of the head where
    nothing would be left."""
    from scipy.ndimage import binary_fill_holes, distance_transform_edt

    inner = np.zeros_like(head)
    for number, slice_ in enumerate(head):
        if slice_.any():
            filled = binary_fill_holes(slice_)
            depth = distance_transform_edt(np.pad(filled, 1))[1:-1, 1:-1]
            inner[number] = depth > ERODED * np.sqrt(np.count_nonzero(filled))
    return inner if inner.any() else head


def _border_value(channel: NDArray[Any]) -> Any:
    """What stands around the head: the value most often met on the border of the slices."""
    edges = (channel[:, 0], channel[:, -1], channel[:, :, 0], channel[:, :, -1])
    values, counts = np.unique(np.concatenate([edge.ravel() for edge in edges]), return_counts=True)
    return values[counts.argmax()]

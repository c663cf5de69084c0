"""A square that isn't of whole pixels: cut out of a slice at exactly its place and size."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Square = tuple[float, float, float, float]
"""Top, left, height, width in the slice's pixels, each of which reaches from its number to the
next; it may reach over the edge."""

WHOLE = 1e-3
"""Pixels: a side that is so near to a whole number is one (a file's voxel of 1 mm is 0.9999999)."""


def centred(first: int, last: int, side: float) -> tuple[float, float]:
    """Where a side begins whose middle is that of the pixels `first` to `last`, and the side. One
    of whole pixels begins at a whole one: nothing is blurred by half a pixel."""
    if abs(side - round(side)) < WHOLE:
        whole = max(round(side), 1)
        return (first + last + 1 - whole) // 2, whole
    return (first + last + 1 - side) / 2, side


def pixels_of(start: float, side: float) -> tuple[int, int]:
    """The first pixel whose middle lies in a side, and how many do; one at least."""
    first = math.ceil(start - 0.5)
    return first, max(math.ceil(start + side - 0.5) - first, 1)


def resized(plane: NDArray[Any], square: Square, size: int) -> NDArray[np.float32]:
    """A plane's square as ``[size, size]``; beyond the edge goes on what stands there."""
    top, left, height, width = square
    rows, columns = _with_margin(top, height, size), _with_margin(left, width, size)
    around = plane[np.ix_(rows.clip(0, len(plane) - 1), columns.clip(0, plane.shape[1] - 1))]
    x, y = left - int(columns[0]), top - int(rows[0])
    box = (x, y, x + width, y + height)
    picture = Image.fromarray(around.astype(np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box=box))


def _with_margin(start: float, side: float, size: int) -> NDArray[np.int64]:
    """The pixels of a side, and those around it that its outermost pixels are weighed with."""
    margin = math.ceil(max(side / size, 1.0)) + 1
    return np.arange(math.floor(start) - margin, math.ceil(start + side) + margin)

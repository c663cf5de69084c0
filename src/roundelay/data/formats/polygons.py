"""Closed contours as pixels: a pixel is inside where its centre is."""

import numpy as np
from numpy.typing import NDArray

TIE = 1e-3
"""Pixels by which contours are moved up and to the left. Many are drawn through centres: so a
centre on the first edge is inside and one on the last is not, whatever rounding made of it."""


def fill(corners: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Bool ``[row, column]`` of a polygon with corners ``[n, 2]`` (row, column), pixel centres at
    whole numbers; even-odd, so that a contour led in and out again (a keyhole) leaves its hole.

    >>> fill(np.array([(0.0, 0.0), (0.0, 2.0), (1.0, 2.0), (1.0, 0.0)]), (2, 3)).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    inside = np.zeros(shape, bool)
    moved = corners - TIE
    for (row, column), (next_row, next_column) in zip(
        moved, np.roll(moved, -1, axis=0), strict=True
    ):
        if row == next_row:
            continue
        low, high = sorted((row, next_row))
        rows = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), shape[0]))
        crossings = column + (rows - row) * (next_column - column) / (next_row - row)
        for at, crossing in zip(rows.tolist(), crossings.tolist(), strict=True):
            inside[at, max(int(np.ceil(crossing)), 0) :] ^= True
    return inside

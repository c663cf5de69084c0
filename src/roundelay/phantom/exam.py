"""A synthetic exam as it was drawn: grey levels before any file format makes them whole numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHANNELS = ("t1", "flair", "t1ce")

FINER = 8
"""How many levels of 16 bits stand for one of 8."""


@dataclass(frozen=True, slots=True)
class Exam:
    """`levels` ``[slice, row, column, channel]`` (T1, FLAIR, T1 with contrast agent), drawn for 8
    bits; slices from the lowest on, seen as radiologists do; `spacing` in mm of slices, rows and
    columns; `first` is where the first voxel lies, RAS+. A hospital without `has_post` puts FLAIR
    in its third channel where the format has three."""

    levels: NDArray[Any]
    mask: NDArray[np.bool_]
    age: int
    spacing: tuple[float, float, float]
    first: tuple[float, float, float]
    has_post: bool = True

    @property
    def slices(self) -> NDArray[np.uint8]:
        """As the LGG set has them: 8 bits, three channels."""
        found: NDArray[np.uint8] = np.clip(np.rint(self.levels), 0, 255).astype(np.uint8)
        if not self.has_post:
            found[..., 2] = found[..., 1]
        return found

    def volume(self, channel: int) -> NDArray[np.int16]:
        """One channel as NIfTI has it: 16 bits, ``[column, row, slice]``."""
        levels = np.clip(np.rint(self.levels[..., channel] * FINER), 0, 32_767)
        return np.ascontiguousarray(levels.astype(np.int16).T)

    @property
    def affine(self) -> NDArray[np.float64]:
        """From ``[column, row, slice]`` to millimetres, RAS+: columns run to the patient's left,
        rows to the back."""
        along_slices, along_rows, along_columns = self.spacing
        affine = np.diag((-along_columns, -along_rows, along_slices, 1.0))
        affine[:3, 3] = self.first
        return affine

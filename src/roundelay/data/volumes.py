"""An exam as arrays, in its own numbers: what each format reads, and all else works on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.grids import Grid


@dataclass(frozen=True, slots=True)
class Volume:
    """One exam: `channels` ``[channel, slice, row, column]``, and where it has masks `regions` bool
    ``[region, slice, row, column]``, the study's main one first. `grid` says where voxels lie; None
    where the files don't. `noticed` is what is odd in it and stops nothing: reasons, each with the
    thing. `values` are the values met in its masks, as the study numbers them."""

    channels: NDArray[Any]
    regions: NDArray[np.bool_] | None
    grid: Grid | None = None
    noticed: tuple[tuple[str, str], ...] = ()
    values: tuple[int, ...] = ()

    @property
    def slices(self) -> NDArray[Any]:
        """The same numbers as ``[slice, row, column, channel]``."""
        return np.moveaxis(self.channels, 0, -1)

    @property
    def tumour(self) -> NDArray[np.bool_] | None:
        """The main region, ``[slice, row, column]``, of an exam that has masks."""
        return None if self.regions is None else self.regions[0]

    @property
    def reference(self) -> NDArray[np.bool_]:
        """All regions of an exam that is known to have masks."""
        if self.regions is None:
            raise ValueError("this exam has no masks")
        return self.regions

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Millimetres from slice to slice, row to row, column to column, where they are known."""
        return None if self.grid is None else self.grid.spacing

"""An exam as arrays, in its own numbers: what each format reads, and all else works on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Volume:
    """One exam: `channels` ``[channel, slice, row, column]``, and where it has masks the `tumour`
    bool ``[slice, row, column]``."""

    channels: NDArray[Any]
    tumour: NDArray[np.bool_] | None

    @property
    def slices(self) -> NDArray[Any]:
        """The same numbers as ``[slice, row, column, channel]``."""
        return np.moveaxis(self.channels, 0, -1)

    @property
    def reference(self) -> NDArray[np.bool_]:
        """The tumour of an exam that is known to have masks."""
        if self.tumour is None:
            raise ValueError("this exam has no masks")
        return self.tumour

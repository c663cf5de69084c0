"""The grey picture of an exam that people look at: one channel, eight bits, straight pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roundelay.data.head import head_of
from roundelay.data.volumes import Volume

LOW, HIGH = 1, 99.5
"""Percentiles of the head between which greys go from black to white."""

Plane = TypeVar("Plane", NDArray[np.uint8], NDArray[np.bool_])


@dataclass(frozen=True, slots=True)
class Grey:
    """`slices` uint8 ``[slice, row, column]``; `pixel` is the height and width of a pixel, in
    millimetres or any unit."""

    slices: NDArray[np.uint8]
    pixel: tuple[float, float] = (1.0, 1.0)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Height and width of a slice whose pixels are made square."""
        height, width = self.slices.shape[1:]
        unit = min(self.pixel)
        return round(height * self.pixel[0] / unit), round(width * self.pixel[1] / unit)

    def shown(self, plane: Plane) -> Plane:
        """A slice, or a mask of it, with square pixels."""
        height, width = self.shown_size
        if plane.shape == (height, width):
            return plane
        image = Image.fromarray(plane.astype(np.uint8) * (255 if plane.dtype == bool else 1))
        picture: Any = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        shown: Plane = picture > 127 if plane.dtype == bool else picture
        return shown


def shown_channel(channels: Sequence[str]) -> int:
    """The channel that people are shown: FLAIR where there is one, else the first."""
    names = [name.lower() for name in channels]
    return names.index("flair") if "flair" in names else 0


def grey_of(volume: Volume, channel: int) -> Grey:
    """One channel of an exam: 8 bits as they are, other numbers between black and white."""
    pixel = volume.spacing[1:] if volume.spacing else (1.0, 1.0)
    values = volume.channels[channel]
    if values.dtype == np.uint8:
        return Grey(values, (pixel[0], pixel[1]))
    head = head_of(values[..., None])
    seen = values[head] if head.any() else values.ravel()
    low, high = (float(one) for one in np.percentile(seen, (LOW, HIGH)))
    scaled = (values.astype(np.float32) - low) / max(high - low, 1e-30) * 255
    return Grey(scaled.clip(0, 255).astype(np.uint8), (pixel[0], pixel[1]))

"""What an exam's head shows when its files are opened: its size, and what a network won't see."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.head import head_of
from roundelay.data.levels import FAR, far_voxels
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import Preprocessing, in_pixels, square_of
from roundelay.data.volumes import Volume

FAR_AWAY = (
    f"Images with voxels further than {FAR:g} standard deviations from all others, which count for"
    " no mean and are cut down"
)


@dataclass(frozen=True, slots=True)
class Looked:
    """Voxels of the head; voxels of the tumour outside the square; what is odd, as of a volume."""

    head_size: int
    cut_off: int
    noticed: tuple[tuple[str, str], ...]


def look_at(volume: Volume, patient: Patient, seen: Preprocessing | None) -> Looked:
    """Without `seen` nothing is cut off."""
    square = seen if seen and (seen.crop != "none" or seen.spacing is not None) else None
    if volume.channels.dtype == np.uint8:
        needed = square is not None and volume.regions is not None
        inside = head_of(volume.slices) if needed else np.zeros((1, 1, 1), bool)
        return Looked(_bright(volume), _cut_off(volume, inside, square), ())
    inside = head_of(volume.slices)
    return Looked(
        int(np.count_nonzero(inside)),
        _cut_off(volume, inside, square),
        tuple(_far(volume.slices[inside], patient)),
    )


def _bright(volume: Volume) -> int:
    """Pixels brighter than a tenth of the 99th percentile, in the brightest channel of each."""
    brightest = volume.channels.max(axis=0)
    bright = int(np.percentile(brightest, 99, method="inverted_cdf"))
    return int(np.count_nonzero(brightest > max(bright // 10, 1)))


def _cut_off(volume: Volume, inside: NDArray[np.bool_], seen: Preprocessing | None) -> int:
    if seen is None or volume.tumour is None:
        return 0
    pixel = volume.spacing[1:] if volume.spacing else (1.0, 1.0)
    top, left, height, width = in_pixels(square_of(inside, seen, pixel))
    shown = volume.tumour[:, max(top, 0) : top + height, max(left, 0) : left + width]
    return int(np.count_nonzero(volume.tumour)) - int(np.count_nonzero(shown))


def _far(head: NDArray[Any], patient: Patient) -> Iterator[tuple[str, str]]:
    names = patient.settings.channels
    for name, count in zip(names, far_voxels(head), strict=False):
        if count:
            yield FAR_AWAY, f"{patient.folder}, {name}: {count} of {len(head)}"

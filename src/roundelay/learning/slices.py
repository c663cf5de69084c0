"""Slices as the network sees them: a square of the patient, and grey levels on a common scale."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from roundelay.cohort.lgg import read_image, read_mask
from roundelay.cohort.patients import Patient

MARGIN = 4
"""Pixels left around the brain."""


@dataclass(frozen=True, slots=True)
class View:
    """How slices are shown to the network; travels in the model file."""

    intensity: str
    crop: str
    size: int


@dataclass(frozen=True)
class Frame:
    """A patient's square (top, left, side; it may reach over the edge) and scale, by channel."""

    top: int
    left: int
    side: int
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """left, upper, right, lower: as Pillow crops."""
        return self.left, self.top, self.left + self.side, self.top + self.side


def frame_of(images: NDArray[np.uint8], view: View) -> Frame:
    """The frame of one patient from all its slices, uint8 ``[slices, height, width, channels]``.

    Brain is where the mean over the channels exceeds a tenth of its 99th percentile.
    """
    brightness = images.mean(axis=-1, dtype=np.float32)
    inside = brightness > max(0.1 * float(np.percentile(brightness, 99)), 1.0)
    height, width = images.shape[1:3]
    top, left, side = 0, 0, max(height, width)
    if view.crop == "brain" and inside.any():
        top, left, side = _square(inside)
    else:
        top, left = (height - side) // 2, (width - side) // 2
    brain = images[inside] if inside.any() else images.reshape(-1, images.shape[-1])
    if view.intensity == "zscore":
        offset, scale = brain.mean(axis=0, dtype=np.float64), brain.std(axis=0, dtype=np.float64)
    else:
        low, high = np.percentile(brain, (1, 99), axis=0)
        offset, scale = low, high - low
    scale = np.maximum(scale, 1.0)  # a channel that is one grey level: no division by nothing
    return Frame(top, left, side, tuple(map(float, offset)), tuple(map(float, scale)))


def _square(inside: NDArray[np.bool_]) -> tuple[int, int, int]:
    """The square around the brain. Rows and columns with less than 0.5 % of brain are noise."""
    slices, height, width = inside.shape
    rows = np.flatnonzero(inside.sum(axis=(0, 2)) > 0.005 * slices * width)
    columns = np.flatnonzero(inside.sum(axis=(0, 1)) > 0.005 * slices * height)
    if not len(rows) or not len(columns):
        return (
            (height - max(height, width)) // 2,
            (width - max(height, width)) // 2,
            max(height, width),
        )
    (top, bottom), (left, right) = rows[[0, -1]], columns[[0, -1]]
    side = min(max(bottom - top, right - left) + 1 + 2 * MARGIN, max(height, width))
    return int(top + bottom + 1 - side) // 2, int(left + right + 1 - side) // 2, int(side)


def read_images(patient: Patient) -> NDArray[np.uint8]:
    """All slices of a patient, uint8 ``[slices, height, width, channels]``."""
    return np.stack([read_image(path) for path in patient.images])


def read_masks(patient: Patient, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """All masks of a patient, bool ``[slices, height, width]``."""
    return np.stack([read_mask(path, shape) for path in patient.masks])


def into_view(image: NDArray[np.uint8], frame: Frame, size: int) -> NDArray[np.uint8]:
    """Cut the patient's square out of a slice and resize it; grey levels stay 8 bits."""
    square = Image.fromarray(image).crop(frame.box)
    if frame.side != size:
        square = square.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(square)


def out_of_view(tumour: torch.Tensor, frame: Frame, shape: tuple[int, int]) -> torch.Tensor:
    """Undo `into_view`: ``[slices, 1, size, size]`` to ``[slices, height, width]``.

    `tumour` is a probability; what the network did not see has 0.
    """
    square = torch.nn.functional.interpolate(
        tumour, size=(frame.side, frame.side), mode="bilinear", align_corners=False
    )
    height, width = shape
    whole = square.new_zeros((len(tumour), height, width))
    top, left = max(frame.top, 0), max(frame.left, 0)
    bottom, right = min(frame.top + frame.side, height), min(frame.left + frame.side, width)
    whole[:, top:bottom, left:right] = square[
        :, 0, top - frame.top : bottom - frame.top, left - frame.left : right - frame.left
    ]
    return whole


def scaled(images: torch.Tensor, frames: list[Frame]) -> torch.Tensor:
    """uint8 ``[batch, size, size, channels]`` to float32 ``[batch, channels, size, size]``."""
    offset = torch.tensor([frame.offset for frame in frames])[:, :, None, None]
    scale = torch.tensor([frame.scale for frame in frames])[:, :, None, None]
    return (images.permute(0, 3, 1, 2).float() - offset) / scale


class SliceCache:
    """Slices in view, read when first asked for and kept up to a number of bytes.

    The one cache of a process: beyond `max_bytes` slices are read again each time.
    """

    def __init__(self, view: View, *, max_bytes: int = 1 << 29) -> None:
        self.view = view
        self._room = max_bytes
        self._frames: dict[str, Frame] = {}
        self._slices: dict[tuple[str, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}

    def frame(self, patient: Patient) -> Frame:
        """The patient's frame; reads all its slices the first time."""
        if patient.folder not in self._frames:
            self._frames[patient.folder] = frame_of(read_images(patient), self.view)
        return self._frames[patient.folder]

    def slice(self, patient: Patient, number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Image ``[size, size, channels]`` and mask ``[size, size]`` of a slice, in view."""
        key, size = (patient.folder, number), self.view.size
        if key not in self._slices:
            frame = self.frame(patient)
            image = read_image(patient.images[number])
            mask = read_mask(patient.masks[number], image.shape[:2])
            seen = into_view(mask.astype(np.uint8) * np.uint8(255), frame, size) > 127
            entry = into_view(image, frame, size), np.packbits(seen)
            if entry[0].nbytes + entry[1].nbytes > self._room:
                return entry[0], seen
            self._room -= entry[0].nbytes + entry[1].nbytes
            self._slices[key] = entry
        image, packed = self._slices[key]
        return image, np.unpackbits(packed, count=size * size).reshape(size, size).astype(bool)

"""Slices as the network sees them, read once and kept."""

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.lgg import read_image, read_mask
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import Frame, View, frame_of, into_view
from roundelay.data.volumes import read_images


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

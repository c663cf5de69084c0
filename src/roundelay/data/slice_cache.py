"""Slices as the network sees them, read once and kept."""

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.lgg import read_image, read_mask
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import CropGeometry, Preprocessing, cut_slice, geometry_of
from roundelay.data.volumes import read_images


class SliceCache:
    """Slices as the network sees them, read when first asked for and kept up to a number of bytes.

    Beyond `max_bytes` slices are read again each time. The caller makes one for a process.
    """

    def __init__(self, preprocessing: Preprocessing, *, max_bytes: int = 1 << 29) -> None:
        self.preprocessing = preprocessing
        self._room = max_bytes
        self._geometries: dict[str, CropGeometry] = {}
        self._slices: dict[tuple[str, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}

    def geometry(self, patient: Patient) -> CropGeometry:
        """The patient's geometry; reads all its slices the first time."""
        if patient.folder not in self._geometries:
            self._geometries[patient.folder] = geometry_of(read_images(patient), self.preprocessing)
        return self._geometries[patient.folder]

    def slice(self, patient: Patient, number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Image ``[size, size, channels]`` and mask ``[size, size]``, as the network sees them."""
        key, size = (patient.folder, number), self.preprocessing.size
        if key not in self._slices:
            geometry = self.geometry(patient)
            image = read_image(patient.images[number])
            mask = read_mask(patient.masks[number], image.shape[:2])
            seen = cut_slice(mask.astype(np.uint8) * np.uint8(255), geometry, size) > 127
            entry = cut_slice(image, geometry, size), np.packbits(seen)
            if entry[0].nbytes + entry[1].nbytes > self._room:
                return entry[0], seen
            self._room -= entry[0].nbytes + entry[1].nbytes
            self._slices[key] = entry
        image, packed = self._slices[key]
        return image, np.unpackbits(packed, count=size * size).reshape(size, size).astype(bool)

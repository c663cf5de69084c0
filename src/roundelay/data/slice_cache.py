"""Slices as the network sees them: cut once, kept on the disk, read one by one from there.

A folder an exam, named after a digest of its files and of the preprocessing, so another mask or
another size never meets what was kept for this one. Several processes may share the place: a
folder appears whole or not at all, and one whose bytes aren't what was written is made anew.
"""

import hashlib
import io
import json
import shutil
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from roundelay.data.formats.known import read_volume
from roundelay.data.opening import digest_of_files
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import (
    CropGeometry,
    Preprocessing,
    cut_mask,
    cut_slice,
    geometry_of,
)
from roundelay.data.volumes import Volume
from roundelay.errors import DataError, MachineError, UserError
from roundelay.files.cache import cache_folder
from roundelay.files.canonical import digest_of
from roundelay.files.folders import write_folder
from roundelay.files.regular import plain_bytes, refuse_special

VERSION = 5
"""Of what the cache holds: raised where preprocessing comes to other numbers."""

GEOMETRY = TypeAdapter(CropGeometry)

IMAGES, MASKS, ABOUT = "images.npy", "masks.npy", "about.json"


@dataclass(frozen=True, slots=True)
class KeptArray:
    """An array in a file, of which single entries are read along the first axis.

    It holds no file open: an exam has two, and a process may have 256 (macOS) or 1,024 at once. Nor
    is it mapped: where all exams together are larger than the memory, a system reads up to
    megabytes around each slice that is touched.
    """

    path: Path
    kind: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> NDArray[Any]:
        """Raises OSError or ValueError where the file was taken away, or cut off."""
        count = prod(self.shape[1:])
        begin = self.offset + number * count * self.kind.itemsize
        return np.fromfile(self.path, self.kind, count, offset=begin).reshape(self.shape[1:])


@dataclass(frozen=True, slots=True)
class CutExam:
    """One exam's squares: `images` ``[slice, size, size, channel]`` and `masks`, eight pixels a
    byte, ``[slice, region, bytes]``; in memory or in files."""

    geometry: CropGeometry
    images: NDArray[Any] | KeptArray
    masks: NDArray[np.uint8] | KeptArray


class SliceCache:
    """Slices as the network sees them. The caller makes one for a process.

    They lie in `folder`; where that can't be written, or there is none, in memory.
    """

    def __init__(self, preprocessing: Preprocessing, folder: Path | None) -> None:
        self.preprocessing = preprocessing
        self._folder = folder
        self._exams: dict[str, CutExam] = {}

    def geometry(self, patient: Patient) -> CropGeometry:
        """The patient's geometry, from all slices."""
        return self._exam(patient).geometry

    def slice(self, patient: Patient, number: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Image ``[size, size, channel]`` and masks ``[region, size, size]``, as the network sees
        them: where it sees neighbours, their channels stand behind the slice's own."""
        size = self.preprocessing.size
        try:
            image, packed = self._read(self._exam(patient), number)
        except (OSError, ValueError):  # somebody cleared the place meanwhile
            self._exams.pop(patient.folder, None)
            image, packed = self._read(self._exam(patient), number)
        masks = np.unpackbits(packed, axis=-1, count=size * size)
        return image, masks.reshape(-1, size, size).astype(bool)

    def _read(self, exam: CutExam, number: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        shown = self.preprocessing.seen_with(number, len(exam.images))
        image = np.concatenate([exam.images[n] for n in shown], axis=-1)
        return image, exam.masks[number]

    def _exam(self, patient: Patient) -> CutExam:
        if patient.folder not in self._exams:
            self._exams[patient.folder] = self._kept(patient) or self._cut(patient)
        return self._exams[patient.folder]

    def _place(self, patient: Patient) -> Path | None:
        if self._folder is None:
            return None
        key = digest_of(
            [
                VERSION,
                patient.format,
                patient.digest,
                asdict(patient.settings),
                asdict(replace(self.preprocessing, neighbours=0)),
            ]
        )
        return self._folder / key[:40]

    def _kept(self, patient: Patient) -> CutExam | None:
        place = self._place(patient)
        return None if place is None else read_exam(place)

    def _cut(self, patient: Patient) -> CutExam:
        volume = read_volume(patient)
        if digest_of_files(patient) != patient.digest:
            raise DataError(
                f"The files of patient {patient.id} ({patient.folder}) changed while they were in"
                " use. Put them back, or begin a new run."
            )
        exam = cut_exam(volume, self.preprocessing)
        if (place := self._place(patient)) is not None and keep_exam(place, exam):
            return read_exam(place) or exam
        return exam


def slices_folder(home: Path | None = None) -> Path | None:
    """Where slices are kept between runs, for this user alone: in `home`, or in the user's cache
    folder. None where nothing can be kept."""
    try:
        folder = (home or cache_folder()) / "slices"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, UserError):
        return None
    return folder


def kept_in(folder: Path) -> tuple[int, int]:
    """How many exams a place keeps, and their bytes."""
    exams = [path for path in folder.iterdir() if path.is_dir()]
    return len(exams), sum(p.stat().st_size for exam in exams for p in exam.iterdir())


def clear(folder: Path) -> None:
    """Take away all that a place keeps; a process that uses it goes on with what it has open."""
    for path in folder.iterdir():
        shutil.rmtree(path)


def cut_exam(volume: Volume, preprocessing: Preprocessing) -> CutExam:
    """All slices of an exam that has masks, as the network sees them."""
    slices, size = volume.slices, preprocessing.size
    geometry = geometry_of(volume, preprocessing)
    masks = [
        [cut_mask(mask, geometry, size) for mask in regions]
        for regions in np.moveaxis(volume.reference, 0, 1)
    ]
    packed = np.packbits(np.array(masks).reshape(len(masks), len(masks[0]), -1), axis=-1)
    return CutExam(geometry, np.stack([cut_slice(s, geometry, size) for s in slices]), packed)


def keep_exam(place: Path, exam: CutExam) -> bool:
    """Write an exam where `read_exam` finds it; False where it can't be kept."""
    files = {IMAGES: _npy(np.asarray(exam.images)), MASKS: _npy(np.asarray(exam.masks))}
    about = {
        "geometry": asdict(exam.geometry),
        "digests": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    try:
        write_folder(place, {**files, ABOUT: json.dumps([about, digest_of(about)]).encode()})
    except (OSError, MachineError):  # no room, no rights; or another process was faster
        return place.exists()
    return True


def read_exam(place: Path) -> CutExam | None:
    """What was kept; None where it isn't there, or isn't what was written, and is taken away."""
    if not place.exists():
        return None
    try:
        about, digest = json.loads(plain_bytes(place / ABOUT))
        if digest_of(about) != digest:
            raise ValueError(f"{ABOUT} is damaged")
        for name in (IMAGES, MASKS):
            refuse_special(place / name)
            with (place / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != about["digests"][name]:
                    raise ValueError(f"{name} is damaged")
        geometry = GEOMETRY.validate_python(about["geometry"])
        return CutExam(geometry, _kept_array(place / IMAGES), _kept_array(place / MASKS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        shutil.rmtree(place, ignore_errors=True)
        return None


def _kept_array(path: Path) -> KeptArray:
    seen = np.load(path, mmap_mode="r")
    return KeptArray(path, seen.dtype, seen.shape, seen.offset)


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()

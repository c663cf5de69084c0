"""A site opens its own files: every image and mask read once, checked, counted and digested."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.lgg import read_image, read_mask
from roundelay.data.left_out import refuse
from roundelay.data.patients import Patient
from roundelay.data.split import split_patients
from roundelay.data.survey import SPLITS, TEST, TRAIN, SiteSurvey
from roundelay.errors import DataError
from roundelay.study.sections import Data

MOST, NEARLY_ALL = 0.5, 0.75
"""The part of the head, and of one slice, that a tumour can't be: its masks are inverted."""


def open_patients(patients: Sequence[Patient], data: Data) -> tuple[Patient, ...]:
    """Read, check and split the patients of one site. Raises DataError naming every faulty file."""
    return split_patients(read_patients(patients), data.split, data.split_seed)


def read_patients(patients: Sequence[Patient]) -> tuple[Patient, ...]:
    """Open every file of every patient. Raises DataError naming every faulty one."""
    faults: list[str] = []
    opened = tuple(_read(patient, faults) for patient in patients)
    refuse(faults)
    return opened


def test_at_left_out(patients: Sequence[Patient], left_out: str | None) -> tuple[Patient, ...]:
    """At the site that a study leaves out of training, all patients test."""
    return tuple(replace(p, split=TEST) if p.site == left_out else p for p in patients)


def open_patient(patient: Patient) -> Patient:
    """Fill in where the tumour is, its size in pixels, and the digests of files and pictures.

    Without masks there is no tumour. Raises DataError naming every faulty file.
    """
    return read_patients([patient])[0]


def _read(patient: Patient, faults: list[str]) -> Patient:
    digest, levels = hashlib.sha256(patient.id.encode()), np.zeros(256, np.int64)
    shape: tuple[int, ...] | None = None
    sizes, pictures = [], []
    for number, path in enumerate(patient.images):
        try:
            image = _same_size(path, shape)
            shape = image.shape[:2]
            levels += np.bincount(image.max(axis=-1).reshape(-1), minlength=256)
            pictures.append(_digest_of(image))
            digest.update(path.read_bytes())
            if patient.masks:
                sizes.append(_tumour(patient.masks[number], shape))
                digest.update(patient.masks[number].read_bytes())
        except (DataError, OSError) as error:  # a file may go between two looks at it
            faults.append(str(error))
    found = replace(
        patient,
        tumour=tuple(size > 0 for size in sizes),
        tumour_size=sum(sizes),
        digest=digest.hexdigest(),
        head_size=_head(levels),
        pictures=tuple(pictures),
    )
    if (share := tumour_share(found)) > MOST:
        faults.append(
            f"The masks of patient {patient.id} ({patient.folder}) cover {share:.0%} of the head,"
            " which is most of it: are they inverted? Tumour is 255 (or 1)."
        )
    return found


def tumour_share(patient: Patient) -> float:
    """The tumour's part of the head; 0 where nothing of a head is seen."""
    return patient.tumour_size / patient.head_size if patient.head_size else 0.0


def _same_size(path: Path, shape: tuple[int, ...] | None) -> NDArray[np.uint8]:
    image = read_image(path)
    if shape not in (None, found := image.shape[:2]):
        raise DataError(f"{path} is {found[0]} x {found[1]}, the slices before it are not.")
    return image


def _tumour(path: Path, shape: tuple[int, ...]) -> int:
    size = int(np.count_nonzero(read_mask(path, shape)))
    if (share := size / (shape[0] * shape[1])) > NEARLY_ALL:
        raise DataError(
            f"The mask {path} covers {share:.0%} of its slice: is it inverted? Tumour is 255 (or"
            " 1)."
        )
    return size


def _head(levels: NDArray[np.int64]) -> int:
    """Pixels brighter than a tenth of the 99th percentile, from how many have each grey level."""
    bright = int(np.searchsorted(np.cumsum(levels), 0.99 * levels.sum()))
    return int(levels[max(bright // 10, 1) + 1 :].sum())


def _digest_of(image: NDArray[np.uint8]) -> str:
    """Of the pixels, however they are stored; none of a slice of one grey, which says nothing."""
    if (image == image[0, 0]).all():
        return ""
    return hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()


def training_slices(patients: Sequence[Patient], data: Data) -> list[tuple[int, int]]:
    """The slices that may train, as (number of the patient, number of the slice)."""
    return [
        (i, j)
        for i, patient in enumerate(patients)
        if patient.split == TRAIN
        for j, tumour in enumerate(patient.tumour)
        if tumour or data.slices == "all"
    ]


def survey_patients(site: str, patients: Sequence[Patient], data: Data) -> SiteSurvey:
    """The site's numbers. Training slices are those that the study's ``slices`` lets train."""
    of = {split: [p for p in patients if p.split == split] for split in SPLITS}
    slices = {split: sum(len(p.images) for p in of[split]) for split in SPLITS}
    slices[TRAIN] = len(training_slices(patients, data))
    joined = "".join(f"{p.id}{p.split}{p.digest}" for p in sorted(patients, key=lambda p: p.id))
    return SiteSurvey(
        site=site,
        patients={split: len(of[split]) for split in SPLITS},
        slices=slices,
        tumour_slices={split: sum(sum(p.tumour) for p in of[split]) for split in SPLITS},
        digest=hashlib.sha256(joined.encode()).hexdigest(),
    )

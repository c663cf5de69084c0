"""A site opens its own files: every image and mask read once, checked, counted and digested."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roundelay.data.formats.lgg import read_image, read_mask
from roundelay.data.patients import Patient
from roundelay.data.split import split_patients
from roundelay.data.survey import SPLITS, TEST, TRAIN, SiteSurvey
from roundelay.errors import DataError
from roundelay.study.sections import Data


def open_patients(patients: Sequence[Patient], data: Data) -> tuple[Patient, ...]:
    """Read, check and split the patients of one site. Raises DataError naming the file."""
    return split_patients(
        [open_patient(patient) for patient in patients], data.split, data.split_seed
    )


def test_at_left_out(patients: Sequence[Patient], left_out: str | None) -> tuple[Patient, ...]:
    """At the site that a study leaves out of training, all patients test."""
    return tuple(replace(p, split=TEST) if p.site == left_out else p for p in patients)


def open_patient(patient: Patient) -> Patient:
    """Fill in where the tumour is, its size in pixels, and the digest over all files' bytes."""
    digest = hashlib.sha256(patient.id.encode())
    shape: tuple[int, ...] | None = None
    sizes = []
    for image_path, mask_path in zip(patient.images, patient.masks, strict=True):
        found = read_image(image_path).shape[:2]
        if shape not in (None, found):
            raise DataError(
                f"{image_path} is {found[0]} x {found[1]}, the slices before it are not."
            )
        shape = found
        sizes.append(int(np.count_nonzero(read_mask(mask_path, found))))
        digest.update(image_path.read_bytes())
        digest.update(mask_path.read_bytes())
    return replace(
        patient,
        tumour=tuple(size > 0 for size in sizes),
        tumour_size=sum(sizes),
        digest=digest.hexdigest(),
    )


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

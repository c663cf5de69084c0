"""A site opens its own files: every image and mask read once, checked, counted and digested."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.duplicates import as_one_person
from roundelay.data.folds import place_in_fold
from roundelay.data.formats.known import read_volume
from roundelay.data.left_out import refuse, refuse_all_bad
from roundelay.data.looking import look_at
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import Preprocessing, preprocessing_of
from roundelay.data.split import split_patients
from roundelay.data.survey import SPLITS, TEST, TRAIN, SiteSurvey
from roundelay.errors import DataError
from roundelay.files.canonical import canonical_json
from roundelay.files.reading import read_bytes
from roundelay.study.data_section import Data

AT_ONCE = 2
"""Exams of volumes that are read side by side: one of 36 million voxels takes 300 MB while it is
looked at, and unpacking leaves Python's other threads free. Slices are decoded one by one, under
filters of warnings that all threads would share."""

MOST, NEARLY_ALL = 0.5, 0.75
"""The part of the head, and of one slice, that a tumour can't be: its masks are inverted."""

SHOWN_VALUES = 8
"""Values of a region that a sentence lists."""


def open_patients(
    patients: Sequence[Patient], data: Data, *, alone: bool = True
) -> tuple[Patient, ...]:
    """Read, check and split the patients of one site. Raises DataError as `read_patients` does."""
    opened = read_for_study(patients, data, alone=alone)
    if data.test_fold is not None:
        return place_in_fold(opened, data, data.test_fold)
    return split_patients(opened, data.split, data.split_seed)


def read_for_study(
    patients: Sequence[Patient], data: Data, *, alone: bool = True
) -> tuple[Patient, ...]:
    """Open the files of one site for a study. Raises DataError as `read_patients` does."""
    opened = read_patients(patients, preprocessing_of(data), alone=alone)
    return as_one_person(opened) if data.duplicates == "one-split" else opened


def read_patients(
    patients: Sequence[Patient], seen: Preprocessing | None = None, *, alone: bool = True
) -> tuple[Patient, ...]:
    """Open every file of every patient; with how a network sees them, its square is looked at too.

    Raises DataError naming every faulty one, or, unless there are others (not `alone`), where all
    are left out for their faults.
    """
    at_once = AT_ONCE if all(patient.channels for patient in patients) else 1
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        found = list(pool.map(lambda patient: _read(patient, seen), patients))
    refuse([fault for _, faults in found for fault in faults])
    opened = tuple(patient for patient, _ in found)
    if alone:
        refuse_all_bad(opened)
    return opened


def test_at_left_out(patients: Sequence[Patient], left_out: str | None) -> tuple[Patient, ...]:
    """At the site that a study leaves out of training, all patients test."""
    return tuple(
        replace(p, split=TEST) if p.site == left_out and not p.fault else p for p in patients
    )


def _read(patient: Patient, seen: Preprocessing | None) -> tuple[Patient, list[str]]:
    """The patient opened, and what is wrong with the files; of one who is then left out the patient
    says it."""
    opened, faults = _opened(patient, seen)
    if faults and patient.settings.on_bad_exam == "leave-out":
        return replace(patient, split=None, fault=faults[0]), []
    return opened, faults


def _opened(patient: Patient, seen: Preprocessing | None) -> tuple[Patient, list[str]]:
    faults: list[str] = []
    try:
        volume, digest = read_volume(patient), digest_of_files(patient)
    except DataError as error:
        return patient, list(error.faults)
    sizes = [] if volume.tumour is None else _tumour_sizes(patient, volume.tumour, faults)
    looked = look_at(volume, patient, seen)
    found = replace(
        patient,
        slices=volume.channels.shape[1],
        tumour=tuple(size > 0 for size in sizes),
        tumour_size=sum(sizes),
        digest=digest,
        head_size=looked.head_size,
        cut_off=looked.cut_off,
        pictures=tuple(_digest_of(image) for image in volume.slices),
        noticed=(*volume.noticed, *looked.noticed),
        values=volume.values,
    )
    if (share := tumour_share(found)) > MOST:
        faults.append(
            f"The masks of patient {patient.id} ({patient.folder}) cover {share:.0%} of the head,"
            f" which is most of it: are they inverted? {_tumour_is(patient)}"
        )
    return found, faults


def digest_of_files(patient: Patient) -> str:
    """SHA-256 over the patient's name and the bytes of all files. Raises DataError."""
    digest = hashlib.sha256(patient.id.encode())
    for pair in zip_longest(patient.images, patient.masks):
        for path in filter(None, pair):
            digest.update(read_bytes(path, DataError))
    if patient.channels:  # the same files as other channels are another exam
        places = [s and (patient.images.index(s.path), s.volume) for s in patient.channels]
        digest.update(canonical_json(places))
    return digest.hexdigest()


def _tumour_is(patient: Patient) -> str:
    if patient.format == "lgg":
        return "Tumour is 255 (or 1)."
    main, values = patient.settings.regions[0]
    more = " and more" if len(values) > SHOWN_VALUES else ""
    listed = ", ".join(map(str, values[:SHOWN_VALUES]))
    return f"The study's {main} is {listed}{more} (see [data.labels])."


def tumour_share(patient: Patient) -> float:
    """The tumour's part of the head; 0 where nothing of a head is seen."""
    return patient.tumour_size / patient.head_size if patient.head_size else 0.0


def _tumour_sizes(
    patient: Patient, tumour: NDArray[np.bool_], faults: list[str]
) -> list[int]:  # fmt: skip
    sizes = [int(size) for size in np.count_nonzero(tumour, axis=(1, 2))]
    most = [number for number, size in enumerate(sizes) if size / tumour[0].size > NEARLY_ALL]
    alone = patient.format == "lgg"  # a file a slice: each is named
    for number in most if alone else most[:1]:
        more = "" if alone or len(most) == 1 else f", as {len(most) - 1} more of it do"
        faults.append(
            f"The mask {patient.mask_name(number)} covers {sizes[number] / tumour[0].size:.0%} of"
            f" its slice{more}: is it inverted? {_tumour_is(patient)}"
        )
    return sizes


def _digest_of(image: NDArray[Any]) -> str:
    """Of the numbers, however they are stored; none of a slice of one grey, which says nothing."""
    if (image == image[0, 0]).all():
        return ""
    return hashlib.blake2b(_plain(image).tobytes(), digest_size=16).hexdigest()


def _plain(image: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the one type that stands for them: whole ones as integers."""
    if image.dtype == np.uint8:  # slices of the LGG set's layout, which have no other type
        return image
    low, high = float(image.min()), float(image.max())
    if max(-low, high) < 2.0**31 and (image == (whole := image.astype("<i4"))).all():
        return whole
    return image.astype("<f8")


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
    slices = {split: sum(p.slices for p in of[split]) for split in SPLITS}
    slices[TRAIN] = len(training_slices(patients, data))
    joined = "".join(f"{p.id}{p.split}{p.digest}" for p in sorted(patients, key=lambda p: p.id))
    return SiteSurvey(
        site=site,
        patients={split: len(of[split]) for split in SPLITS},
        slices=slices,
        tumour_slices={split: sum(sum(p.tumour) for p in of[split]) for split in SPLITS},
        digest=hashlib.sha256(joined.encode()).hexdigest(),
    )

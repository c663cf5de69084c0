"""Split a site's patients: by patient, seeded, stratified by tumour size."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from roundelay.data.patients import Patient
from roundelay.data.survey import TEST, TRAIN, VALIDATION
from roundelay.errors import DataError
from roundelay.study.data_section import Split


def split_patients(patients: Sequence[Patient], shares: Split, seed: int) -> tuple[Patient, ...]:
    """Give every patient of one site a split; a split that a table gave stays.

    Sites are split one by one, which stratifies by site. Within a site the patients are ordered by
    tumour size and drawn at even distances from a seeded start, so that every split gets small and
    large tumours. At least one patient trains. Raises DataError for a patient who stands twice.
    """
    refuse_leak(patients)
    patients, unusable = _apart(patients)
    if all(patient.split for patient in patients):
        return (*patients, *unusable)
    site = patients[0].site
    rng = Random(f"{seed}/split/{site}")
    rest = sorted(rng.sample(list(patients), k=len(patients)), key=lambda p: p.tumour_size)
    count = len(patients)
    splits: dict[str, str] = {}
    for name, part in ((TEST, shares.test), (VALIDATION, shares.validation)):
        wanted = min(int(part * count + 0.5), len(rest) - 1)
        for patient in _evenly(rest, wanted, rng.random()):
            splits[patient.id] = name
            rest.remove(patient)
    placed = (replace(p, split=splits.get(p.id, TRAIN)) for p in patients)
    return (*placed, *unusable)


def _apart(patients: Sequence[Patient]) -> tuple[tuple[Patient, ...], tuple[Patient, ...]]:
    """Those who can be used, and those who are left out."""
    return tuple(p for p in patients if not p.fault), tuple(p for p in patients if p.fault)


def refuse_leak(patients: Sequence[Patient]) -> None:
    """Raise DataError where a patient stands twice, or one picture under two patients: it could
    come to stand in two splits. Pictures are compared once their files were opened."""
    seen: dict[str, Patient] = {}
    for patient in patients:
        if (before := seen.setdefault(patient.id, patient)) is not patient:
            raise DataError(
                f"Patient {patient.id} stands twice, at {before.site} ({before.folder}) and at"
                f" {patient.site} ({patient.folder}): a leak between splits or sites."
            )
    _refuse_same_pictures(patients)


def _refuse_same_pictures(patients: Sequence[Patient]) -> None:
    seen: dict[str, tuple[Patient, int]] = {}
    for patient in patients:
        for number, picture in enumerate(patient.pictures):
            own = (patient, number)
            first, there = seen.setdefault(picture, own) if picture else own
            if first is not patient:
                both = len({*first.pictures} & {*patient.pictures} - {""})
                raise DataError(
                    f"The same picture stands under two patients, {first.folder} at {first.site}"
                    f" ({first.slice_name(there)}) and {patient.folder} at {patient.site}"
                    f" ({patient.slice_name(number)}); they"
                    f" have {both} in common: a leak between splits or sites. Keep one of them."
                )


def _evenly(patients: Sequence[Patient], wanted: int, start: float) -> list[Patient]:
    return [patients[int((i + start) * len(patients) / wanted)] for i in range(wanted)]

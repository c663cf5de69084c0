"""Split a site's patients: by person, seeded, stratified by tumour size."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from roundelay.data.patients import Patient
from roundelay.data.survey import TEST, TRAIN, VALIDATION
from roundelay.errors import DataError
from roundelay.study.data_section import Split

AS_ONE_PERSON = 'duplicates = "one-split" in [data]'


def split_patients(patients: Sequence[Patient], shares: Split, seed: int) -> tuple[Patient, ...]:
    """Give every patient of one site a split; a split that a table or a list gave stays, and to
    what it gave nobody else is drawn.

    Sites are split one by one, which stratifies by site. Within a site the persons are ordered by
    tumour size and drawn at even distances from a seeded start, so that every split gets small and
    large tumours; all exams of a person stand in one. At least one person trains. Raises DataError
    for a patient who stands twice.
    """
    refuse_leak(patients)
    patients, unusable = usable(patients)
    if all(patient.split for patient in patients):
        return (*patients, *unusable)
    site = patients[0].site
    rng = Random(f"{seed}/split/{site}")
    persons = by_person(patients)
    free = [exams for exams in persons if not exams[0].split]
    rest = sorted(rng.sample(free, k=len(free)), key=tumour_size)
    count = len(persons)
    splits = {patient.person: patient.split for patient in patients if patient.split}
    for name, part in ((TEST, shares.test), (VALIDATION, shares.validation)):
        able = [exams for exams in rest if all(name in exam.drawn for exam in exams)]
        wanted = min(int(part * count + 0.5), len(rest) - 1, len(able))
        for exams in evenly(able, wanted, rng.random()):
            splits[exams[0].person] = name
            rest.remove(exams)
    placed = (replace(p, split=splits.get(p.person, TRAIN)) for p in patients)
    return (*placed, *unusable)


def usable(patients: Sequence[Patient]) -> tuple[tuple[Patient, ...], tuple[Patient, ...]]:
    """Those who can be used, and those who are left out."""
    return tuple(p for p in patients if not p.fault), tuple(p for p in patients if p.fault)


def by_person(patients: Sequence[Patient]) -> list[tuple[Patient, ...]]:
    """All exams of a person together, in the order in which persons are first met; of each person
    those before the others whose split is known."""
    found: dict[str, list[Patient]] = {}
    for patient in patients:
        found.setdefault(patient.person, []).append(patient)
    return [tuple(sorted(exams, key=lambda p: p.split is None)) for exams in found.values()]


def tumour_size(exams: Sequence[Patient]) -> int:
    """Of a person: the largest of all exams, in voxels."""
    return max(exam.tumour_size for exam in exams)


def refuse_leak(patients: Sequence[Patient]) -> None:
    """Raise DataError where a patient stands twice, exams of one person at two sites or in two
    splits, or one picture under two persons: it could come to stand in two splits. Pictures are
    compared once their files were opened."""
    seen: dict[str, Patient] = {}
    for patient in patients:
        if (before := seen.setdefault(patient.id, patient)) is not patient:
            raise DataError(
                f"Patient {patient.id} stands twice, at {before.site} ({before.folder}) and at"
                f" {patient.site} ({patient.folder}): a leak between splits or sites."
            )
    refuse_apart(patients)
    _refuse_same_pictures(patients)


def refuse_apart(patients: Sequence[Patient]) -> None:
    """Raise DataError where exams of one person stand at two sites, or in two splits; one that has
    none yet may come to stand in any."""
    for first, *others in by_person(usable(patients)[0]):
        for other in others:
            if other.site != first.site or len({first.split, other.split} - {None}) > 1:
                raise DataError(
                    f"The exams {first.id} and {other.id} are of one person, {first.person}, and"
                    f" stand in two places, {place_of(first)} and {place_of(other)}: a leak between"
                    " splits or sites. All exams of a person have one site and one split."
                )


def place_of(patient: Patient) -> str:
    """Where a patient stands: the site, and the split where there is one."""
    return f"{patient.site}/{patient.split}" if patient.split else patient.site


def _refuse_same_pictures(patients: Sequence[Patient]) -> None:
    seen: dict[str, tuple[Patient, int]] = {}
    for patient in patients:
        for number, picture in enumerate(patient.pictures):
            own = (patient, number)
            first, there = seen.setdefault(picture, own) if picture else own
            if first.person != patient.person:
                both = len({*first.pictures} & {*patient.pictures} - {""})
                raise DataError(
                    f"The same picture stands under two patients, {first.folder} at {first.site}"
                    f" ({first.slice_name(there)}) and {patient.folder} at {patient.site}"
                    f" ({patient.slice_name(number)}); they"
                    f" have {both} in common: a leak between splits or sites. Keep one of them."
                    f"{_hint(first, patient)}"
                )


def _hint(first: Patient, other: Patient) -> str:
    if first.site != other.site:
        return ""
    return f" A study with {AS_ONE_PERSON} takes them for exams of one person."


def evenly(
    persons: Sequence[tuple[Patient, ...]], wanted: int, start: float
) -> list[tuple[Patient, ...]]:
    """So many of them at even distances, from a start between 0 and 1."""
    return [persons[int((i + start) * len(persons) / wanted)] for i in range(wanted)]

"""Exams that have a picture in common: where a study says so, they count as exams of one person."""

from collections.abc import Sequence
from dataclasses import replace

from roundelay.data.patients import Patient

AS_ONE = "Exams that have pictures of another exam, and count as exams of one person with it"


def as_one_person(patients: Sequence[Patient]) -> tuple[Patient, ...]:
    """One site's patients, opened, those who share a picture with one subject: that of the first
    of them. So they stand in one split, whichever is drawn."""
    firsts = _first_of_each(patients)
    return tuple(_joined(patient, firsts[patient.person]) for patient in patients)


def _first_of_each(patients: Sequence[Patient]) -> dict[str, Patient]:
    """The first exam of all that hang together, through others too, by person."""
    number = {patient.person: n for n, patient in reversed(list(enumerate(patients)))}
    before = {person: person for person in number}

    def root(person: str) -> str:
        while before[person] != person:
            before[person] = person = before[before[person]]
        return person

    holders: dict[str, str] = {}
    for patient in patients:
        for picture in filter(None, patient.pictures):
            one, other = sorted(
                (root(holders.setdefault(picture, patient.person)), root(patient.person)),
                key=number.__getitem__,
            )
            before[other] = one
    return {person: patients[number[root(person)]] for person in number}


def _joined(patient: Patient, first: Patient) -> Patient:
    if patient.person == first.person:
        return patient
    told = (AS_ONE, f"{patient.folder} and {first.folder}")
    return replace(patient, subject=first.person, noticed=(*patient.noticed, told))

"""Folds for cross-validation: every person of a site tests in one of them, drawn at the site alone.

As splits are drawn: by site, by person, by tumour size.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from roundelay.data.patients import Patient
from roundelay.data.split import by_person, evenly, refuse_leak, tumour_size, usable
from roundelay.data.survey import TEST, TRAIN, VALIDATION
from roundelay.study.data_section import Data


def place_in_fold(patients: Sequence[Patient], data: Data, fold: int) -> tuple[Patient, ...]:
    """One site's patients as they stand in `fold`, counted from 1: those of the fold test, the
    study's share of validation is drawn from the others, and the rest trains.

    Nothing but the study's ``split_seed``, the site's name and its own patients is drawn from, so
    no site needs to know of another's. At a site whose only person tests, nobody trains. Raises
    DataError for a patient who stands twice.
    """
    refuse_leak(patients)
    patients, unusable = usable(patients)
    if not patients:
        return tuple(unusable)
    persons, site = by_person(patients), patients[0].site
    folds = draw_folds(persons, data, site)
    splits = {person: TEST for person, own in folds.items() if own == fold}
    rest = sorted((e for e in persons if e[0].person not in splits), key=tumour_size)
    wanted = min(int(data.split.validation * len(persons) + 0.5), len(rest) - 1)
    draw = Random(f"{data.split_seed}/folds/{site}/{fold}/validation")
    for exams in evenly(rest, max(wanted, 0), draw.random()):
        splits[exams[0].person] = VALIDATION
    return (*(replace(p, split=splits.get(p.person, TRAIN)) for p in patients), *unusable)


def draw_folds(persons: Sequence[Sequence[Patient]], data: Data, site: str) -> dict[str, int]:
    """The fold, from 1, in which each person of a site tests.

    The persons are ordered by tumour size, and each so many neighbours as there are folds are dealt
    out to them by chance, one to each: every fold has small and large tumours, and as many
    persons as any other, or one fewer.
    """
    count = data.folds or 1
    draw = Random(f"{data.split_seed}/folds/{site}")
    ordered = sorted(draw.sample(persons, k=len(persons)), key=tumour_size)
    dealt: list[int] = []
    while len(dealt) < len(ordered):
        dealt += draw.sample(range(1, count + 1), k=count)
    return {exams[0].person: fold for exams, fold in zip(ordered, dealt, strict=False)}

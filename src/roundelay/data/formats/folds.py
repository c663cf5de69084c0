"""Who tests, where a list beside the exams says it: nnU-Net's ``splits_final.json``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundelay.data.formats.json_file import read_json_file, said
from roundelay.data.formats.listed_exam import Exam
from roundelay.data.left_out import shown
from roundelay.data.survey import TEST, VALIDATION
from roundelay.errors import DataError

NAME = "splits_final.json"

UNLISTED = f"Cases that the fold's lists in {NAME} do not name, left out"
UNUSED = f"Lists of folds that are not used, as the study names no fold: {NAME}"


def place_by_fold(
    exams: Sequence[Exam], path: Path, fold: int | None, *, bad: int = 0
) -> tuple[list[Exam], list[tuple[str, str]]]:
    """The exams of a fold, those of its list ``val`` as test patients, and what was left out.

    Of the list ``train`` some are drawn to validation. Raises DataError for a case that stands in
    both lists, and for more that aren't there than the `bad` ones which were left out.
    """
    if fold is None:
        return list(exams), [(UNUSED, path.name)] if path.is_file() else []
    train, test = _lists(path, fold)
    _refuse_unknown(train | test, exams, bad, f"{path}, fold {fold}")
    placed = [
        replace(exam, split=TEST) if exam.name in test else replace(exam, drawn=(VALIDATION,))
        for exam in exams
        if exam.name in train | test
    ]
    return placed, [(UNLISTED, exam.name) for exam in exams if exam.name not in train | test]


def _lists(path: Path, fold: int) -> tuple[set[str], set[str]]:
    """The cases that train in a fold, and those that test."""
    if not path.is_file():
        raise DataError(
            f"The study takes fold {fold}, and there is no {path}. nnU-Net keeps it in the folder"
            " of the preprocessed set: copy it here, or take the line fold out of [data]."
        )
    folds = read_json_file(path)
    if not isinstance(folds, list):
        raise DataError(f"{path} must hold a list of folds; it is {said(folds)}.")
    if fold >= len(folds):
        last = f"the last is {len(folds) - 1}" if folds else "it is empty"
        raise DataError(f"{path} has no fold {fold}: {last}.")
    where = f"{path}, fold {fold}"
    entry = folds[fold] if isinstance(folds[fold], dict) else {}
    train, test = (_names(entry.get(key), f"{where}, {key}") for key in ("train", "val"))
    if both := sorted(train & test):
        raise DataError(
            f"{where}: {len(both)} cases stand in train and in val (the first: {shown(both[0])}): a"
            " leak between splits. Take them out of one."
        )
    return train, test


def _names(value: Any, where: str) -> set[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise DataError(f"{where}: must be a list of cases; it is {said(value)}.")
    if not value:
        raise DataError(f"{where}: the list is empty. A fold has cases in both lists.")
    return set(value)


def _refuse_unknown(named: set[str], exams: Sequence[Exam], bad: int, where: str) -> None:
    unknown = sorted(named - {exam.name for exam in exams})
    if len(unknown) > bad:
        raise DataError(
            f"{where} names {len(unknown)} cases that are not there (the first:"
            f" {shown(unknown[0])}). Is it the list of another set? Add them, or take them out of"
            " it."
        )

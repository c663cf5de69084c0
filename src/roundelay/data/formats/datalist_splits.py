"""Who trains, validates and tests, as lists of exams say it, and whom they leave to be drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roundelay.data.formats.datalist_json import TESTING, VALIDATING, Entries, Entry
from roundelay.data.formats.listed_exam import Exam
from roundelay.data.patients import DRAWN
from roundelay.data.survey import TEST, VALIDATION
from roundelay.errors import DataError
from roundelay.study.names import SiteName

UNLABELLED = "Entries without a label, left out"
FOLDLESS = "Entries without a fold, which train"
UNUSED = "Lists whose folds are not used, as the study names no fold"

Met = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Of one file: the fold that tests, and the splits to which entries of training are drawn."""

    fold: int | None
    drawn: tuple[str, ...]

    def place(self, entry: Entry, site: SiteName | None) -> Exam:
        split = {**dict.fromkeys(VALIDATING, VALIDATION), **dict.fromkeys(TESTING, TEST)}.get(
            entry.list
        )
        if self.fold is not None and entry.fold == self.fold and split is None:
            split = TEST
        drawn = DRAWN if split else self.drawn
        return Exam(
            entry.name, entry.where, entry.channels, entry.mask, site, split, drawn, entry.subject
        )


def exams_of(
    lists: Sequence[Entries], sites: Sequence[SiteName | None], fold: int | None, masks: bool
) -> tuple[list[Exam], Met]:
    """All exams, placed; with `masks` those that have one. What was left out, or is to be said.

    A list ``validation``, ``testing``, or the fold that tests, names who does: then nobody else is
    drawn to it. Raises DataError.
    """
    if fold is not None:
        _refuse_no_fold(lists, fold)
    exams: list[Exam] = []
    met: Met = []
    for one, site in zip(lists, sites, strict=True):
        kept = [entry for entry in one.found if entry.mask or not masks]
        met += [(UNLABELLED, entry.name) for entry in one.found if masks and not entry.mask]
        met += _said(one, kept, fold)
        rule = _rule(one, kept, fold) if masks else _Rule(None, DRAWN)
        exams += [rule.place(entry, site) for entry in kept]
    return exams, met


def _rule(one: Entries, kept: Sequence[Entry], fold: int | None) -> _Rule:
    lists = {entry.list for entry in kept}
    tested, validated = bool(lists & set(TESTING)), bool(lists & set(VALIDATING))
    if tested and fold is not None:
        raise DataError(
            f"{one.path} has a list of test patients, and the study says that fold {fold} tests."
            " Take the list out of the file, or the line fold out of [data]."
        )
    given = {TEST: tested or fold is not None, VALIDATION: validated}
    return _Rule(fold, tuple(split for split in DRAWN if not given[split]))


def _said(one: Entries, kept: Sequence[Entry], fold: int | None) -> Iterator[tuple[str, str]]:
    trained = [entry for entry in kept if entry.list not in (*VALIDATING, *TESTING)]
    if fold is None and any(entry.fold is not None for entry in trained):
        yield UNUSED, one.path.name
    if fold is not None:
        yield from ((FOLDLESS, entry.name) for entry in trained if entry.fold is None)


def _refuse_no_fold(lists: Sequence[Entries], fold: int) -> None:
    folds = {entry.fold for one in lists for entry in one.found} - {None}
    if fold not in folds:
        known = ", ".join(map(str, sorted(number for number in folds if number is not None)))
        raise DataError(
            f"The study takes fold {fold}, and no entry of {lists[0].path} has it; there"
            f" {f'are the folds {known}' if known else 'are no folds'}."
        )

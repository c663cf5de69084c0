"""Exams of NIfTI files, a file a channel: BraTS, FeTS, UCSF-PDGM, UPENN-GBM, BIDS, and whatever is
laid out as they are; packed or not.

``<exam>/<exam>_<channel>.nii.gz`` and ``<exam>/<exam>_seg.nii.gz``; see `nifti_layouts`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from roundelay.data.formats.nifti_exam import mask_files, mask_names, read_exam, slices_of
from roundelay.data.formats.nifti_layouts import BESIDE, Exam, exams_in, refuse_nnunet
from roundelay.data.formats.nifti_names import (
    Named,
    is_plain,
    of_channel,
    of_mask,
    person_of,
    site_of,
)
from roundelay.data.formats.nifti_search import REFERENCE, Search
from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.left_out import Found, counted, refuse
from roundelay.data.patients import Patient, Source
from roundelay.data.tables import read_attributes
from roundelay.errors import DataError
from roundelay.study.names import PatientId, SiteName

__all__ = ["ATTRIBUTES", "FOLDER_EACH", "find_patients", "mask_files", "mask_names", "read_volume"]

ATTRIBUTES = "data.csv"

BIDS_ATTRIBUTES = "participants.tsv"

FOLDER_EACH = False

read_volume = read_exam

SITE = "all"
"""Where patients stand whom no table places."""

FILLED = "Exams without the channel {}, filled with zeros"
TAKEN = "Exams without the channel {}, in whose place {} stands"
UNUSED = "NIfTI files in exams' folders that are neither channel nor mask, not read"
FOREIGN = "Files that are named after something else than their exam, taken by their ending"

MASK = "its mask"

SEVERAL = "Exams with several files that could be the mask, none of which is used"


def find_patients(
    root: Path, settings: ImageSettings = LGG_SETTINGS, *, masks: bool = True
) -> Found:
    """All exams by names and headers, and what was left out.

    With `masks`, every exam must have one; without, they are given where they are. Raises DataError
    naming every exam that lacks something, or in which it isn't plain what is what.
    """
    refuse_nnunet(root)
    exams = exams_in(root)
    search = Search(list(exams.met))
    found = [_patient(exam, settings, masks, search) for exam in exams.exams]
    if settings.on_bad_exam == "leave-out" and any(found):
        search.leave_out()
    refuse([*search.sentences(exams.exams), *_twice(exams.exams)])
    attributes = _attributes(exams.place, search)
    patients = tuple(
        replace(one, attributes=attributes.get(one.id, attributes.get(one.subject, {})))
        for one in found
        if one
    )
    out = [exam for exam, one in zip(exams.exams, found, strict=True) if one is None]
    unused = (name for exam in out for name in (exam.name, exam.folder, person_of(exam.name)))
    return Found(patients, counted(search.met), frozenset(unused))


def _attributes(place: Path, search: Search) -> dict[str, dict[str, str]]:
    """What a table beside the exams says of them."""
    for name in (ATTRIBUTES, BIDS_ATTRIBUTES):
        if (place / name).is_file():
            search.met = [one for one in search.met if one != (BESIDE, name)]
            return read_attributes(place / name)
    return {}


def _patient(
    exam: Exam, settings: ImageSettings, masks: bool, search: Search
) -> Patient | None:  # fmt: skip
    before = search.count
    settings = settings.at(exam.name, exam.folder, person_of(exam.name), _site(exam))
    try:
        mask = _mask(exam, masks, search)
        channels = tuple(_source(exam, name, settings, search) for name in settings.channels)
        if search.count > before:
            return None
        return _described(exam, channels, mask, settings, search)
    except DataError as error:
        search.faults += error.faults
        return None


def _mask(exam: Exam, masks: bool, search: Search) -> Named | None:
    """The exam's mask. Raises DataError where several could be, and one is needed."""
    found = of_mask(exam.files)
    if masks and not found:
        search.lacks(exam.name, REFERENCE)
    if len(found) > 1 and not masks:
        search.met.append((SEVERAL, exam.name))
        return None
    return _only(exam, MASK, found)


def _described(
    exam: Exam,
    channels: tuple[Source | None, ...],
    mask: Named | None,
    settings: ImageSettings,
    search: Search,
) -> Patient:
    images = tuple(dict.fromkeys(source.path for source in channels if source))
    if not settings.channels:  # before a study is known
        images = tuple(one.path for one in exam.files if one not in of_mask(exam.files))
    if not images:
        raise DataError(f"The exam {exam.name} has none of the channels. Move it away.")
    used = {*images, *([mask.path] if mask else [])}
    search.met += _noticed(exam, used)
    found = Patient(
        id=_name(exam),
        site=SiteName(_site(exam)),
        folder=exam.folder,
        images=images,
        masks=(mask.path,) if mask else (),
        slices=0,
        format="nifti",
        channels=channels,
        settings=settings,
        subject=person_of(exam.name),
    )
    return replace(found, slices=slices_of(found))


def _noticed(exam: Exam, used: set[Path]) -> Iterator[tuple[str, str]]:
    for one in exam.files:
        if one.path not in used:
            yield UNUSED, f"{exam.folder}/{one.path.name}"
        elif not (one.own or is_plain(one)):
            yield FOREIGN, f"{exam.folder}/{one.path.name}"


def _site(exam: Exam) -> str:
    return site_of(exam.name) or SITE


def _name(exam: Exam) -> PatientId:
    try:
        return PatientId(exam.name)
    except ValueError as error:
        raise DataError(f"The name of the folder {exam.folder!a}: {error}. Rename it.") from error


def _source(exam: Exam, name: str, settings: ImageSettings, search: Search) -> Source | None:
    """Where a channel lies, or what stands in its place. Raises DataError."""
    found = _only(exam, f"the channel {name}", of_channel(exam.files, settings.name_here(name)))
    if found is not None:
        return Source(found.path)
    kind, _, other = settings.missing.partition(":")
    if kind == "zero":
        search.met.append((FILLED.format(name), exam.name))
        return None
    if kind == "substitute" and other != name:
        there = of_channel(exam.files, settings.name_here(other))
        if (taken := _only(exam, f"the channel {other}", there)) is not None:
            search.met.append((TAKEN.format(name, other), exam.name))
            return Source(taken.path)
    search.lacks(exam.name, f"channel {settings.name_here(name)}")
    return None


def _only(exam: Exam, what: str, found: Sequence[Named]) -> Named | None:
    if len(found) > 1:
        names = " and ".join(one.path.name for one in found[:3])
        named = ", or give the channel's name for this site (channels)"
        or_else = ", or give each exam a folder of its own" if what == MASK else named
        raise DataError(
            f"It isn't plain which file of the exam {exam.name} is {what}: {names} could be. Move"
            f" those away that are not{or_else}."
        )
    return found[0] if found else None


def _twice(exams: Sequence[Exam]) -> list[str]:
    seen: dict[str, Exam] = {}
    return [
        f"The exam {exam.name} has two folders, {first.folder} and {exam.folder}. Keep one of them."
        for exam in exams
        if (first := seen.setdefault(exam.name, exam)) is not exam
    ]

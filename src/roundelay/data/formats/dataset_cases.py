"""The cases of an nnU-Net or MSD set: by its folders, or by the lists in ``dataset.json``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roundelay.data.formats.dataset_json import CONVERT, ENDINGS, DatasetJson
from roundelay.data.formats.json_file import named_file, said, stem_of
from roundelay.data.formats.listed_exam import Exam, volumes_of
from roundelay.data.formats.listing import Listing, list_folder
from roundelay.data.left_out import HIDDEN, ODD, shown
from roundelay.data.patients import Source
from roundelay.errors import DataError

IMAGES, LABELS, TESTS = "imagesTr", "labelsTr", "imagesTs"

OTHERS = "Files in imagesTr, imagesTs or labelsTr that end otherwise than the set's, not read"
LONE = "Masks without an image, left out"
UNMASKED = "Cases to be predicted (imagesTs, test), which have no mask, left out"

_NUMBERED = re.compile(r"(?P<case>.+)_(?P<channel>[0-9]{4})")


@dataclass
class Cases:
    """What was found: exams, what is wrong with single ones (`bad`) and with all (`faults`) as
    sentences, what was left out with why, and the names of cases that are not among the exams."""

    exams: list[Exam] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    met: list[tuple[str, str]] = field(default_factory=list)
    trained: int = 0
    unused: set[str] = field(default_factory=set)


def find_cases(dataset: DatasetJson, masks: bool) -> Cases:
    """All cases of the set; without `masks` those to be predicted too."""
    cases = Cases()
    place = dataset.path.parent
    if dataset.is_msd:
        _listed(cases, dataset, masks)
    elif dataset.entries is not None:
        _entries(cases, dataset, masks)
    else:
        labels = place / LABELS if masks or (place / LABELS).is_dir() else None
        _in_folders(cases, dataset, place / IMAGES, labels, masks)
    cases.trained = cases.trained or len(cases.exams)
    if not dataset.is_msd and (place / TESTS).is_dir():
        _tests(cases, dataset, place / TESTS, masks)
    return cases


def _tests(cases: Cases, dataset: DatasetJson, folder: Path, masks: bool) -> None:
    there = Cases()
    _in_folders(there, dataset, folder, None, masks)
    cases.met += there.met
    if masks:
        cases.met += [(UNMASKED, exam.name) for exam in there.exams]
        cases.unused |= {exam.name for exam in there.exams}
        return
    cases.exams += there.exams
    cases.faults += there.faults


def _in_folders(
    cases: Cases, dataset: DatasetJson, images: Path, labels: Path | None, masks: bool
) -> None:
    listing = _listing(cases, images)
    channels: dict[str, dict[int, Source]] = {}
    bare: list[Path] = []
    for path in _ending_so(cases, listing, dataset.ending):
        name = _NUMBERED.fullmatch(path.name[: -len(dataset.ending)])
        if name is None:
            bare.append(path)
        else:
            channels.setdefault(name["case"], {})[int(name["channel"])] = Source(path)
    cases.faults += _without_number(images, bare, channels, dataset)
    cases.faults += _above(images, channels, dataset)
    found = _masks(cases, dataset, labels) if labels else {}
    cases.met += [(LONE, path.name) for case, path in found.items() if case not in channels]
    for case, own in channels.items():
        where = f"{images}, case {shown(case)}"
        if labels and masks and case not in found:
            cases.bad.append(_maskless(where, case, found, labels, dataset.ending))
            cases.unused.add(case)
            continue
        cases.exams.append(Exam(case, where, own, found.get(case)))


def _listing(cases: Cases, folder: Path) -> Listing:
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}, which a set with such a dataset.json has. Give the"
            " folder DatasetXXX_NAME of the raw data (not of the preprocessed)."
        )
    listing = list_folder(folder)
    cases.met += [(HIDDEN, f"{folder.name}/{path.name}") for path in listing.hidden]
    cases.met += [(ODD, f"{folder.name}/{path.name}") for path in listing.odd]
    return listing


def _ending_so(cases: Cases, listing: Listing, ending: str) -> Iterator[Path]:
    for path in listing.files:
        if path.name.lower().endswith(ending) and len(path.name) > len(ending):
            yield path
        else:
            cases.met.append((OTHERS, f"{path.parent.name}/{path.name}"))


def _without_number(
    folder: Path, bare: list[Path], numbered: dict[str, Any], dataset: DatasetJson
) -> Iterator[str]:
    first = dataset.ending
    if bare and not numbered:
        yield (
            f"No file in {folder} has the number of a channel in its name (the first:"
            f" {bare[0].name}): nnU-Net's layout is <case>_0000{first}, also where there is one"
            " channel. Rename them."
        )
    elif bare:
        yield (
            f"{len(bare)} files in {folder} lack the number of a channel in their names (the first:"
            f" {bare[0].name}); the others have it, as in <case>_0000{first}. Rename them or move"
            " them away."
        )
    elif not numbered:
        yield (
            f"{folder} holds no file <case>_0000{first}. dataset.json says that files end in"
            f" {first} (file_ending); known are {', '.join(ENDINGS)}."
        )


def _above(
    folder: Path, channels: dict[str, dict[int, Source]], dataset: DatasetJson
) -> Iterator[str]:
    most = len(dataset.channels)
    strange = [own[n].path.name for own in channels.values() for n in own if n >= most]
    if strange:
        yield (
            f"{len(strange)} files in {folder} have the number of a channel that dataset.json does"
            f" not name (the first: {strange[0]}); it names {most}, 0000 to {most - 1:04}. Add it"
            " to channel_names or rename the files."
        )


def _masks(cases: Cases, dataset: DatasetJson, folder: Path) -> dict[str, Path]:
    paths = _ending_so(cases, _listing(cases, folder), dataset.ending)
    return {path.name[: -len(dataset.ending)]: path for path in paths}


def _maskless(where: str, case: str, found: dict[str, Path], labels: Path, ending: str) -> str:
    if (numbered := found.get(f"{case}_0000")) is not None:
        return (
            f"{where}: its mask is called {labels.name}/{numbered.name}. Masks bear no number of a"
            f" channel: rename it {case}{ending}."
        )
    return f"{where} has no mask {labels.name}/{case}{ending}. Add it, or move its images away."


def _entries(cases: Cases, dataset: DatasetJson, masks: bool) -> None:
    folder = dataset.path.parent
    for case, entry in (dataset.entries or {}).items():
        where = f"{dataset.path}, dataset.{shown(case)}"
        try:
            if not isinstance(entry, dict) or not isinstance(entry.get("images"), list):
                raise DataError(
                    f'{where} must be as in {{"images": [...], "label": ...}}; it is {said(entry)}.'
                )
            images = entry["images"]
            if len(images) != len(dataset.channels):
                raise DataError(
                    f"{where} names {len(images)} images, channel_names {len(dataset.channels)}"
                    " channels: one image for each, in their order."
                )
            own = {
                number: Source(named_file(folder, image, f"{where}.images"))
                for number, image in enumerate(images)
            }
            label = entry.get("label")
            named = masks or label is not None
            mask = named_file(folder, label, f"{where}.label") if named else None
            cases.exams.append(Exam(case, where, own, mask))
        except DataError as error:
            cases.bad += error.faults
            cases.unused.add(case)


def _listed(cases: Cases, dataset: DatasetJson, masks: bool) -> None:
    for number, entry in enumerate(dataset.training or [], start=1):
        where = f"{dataset.path}, entry {number} of training"
        try:
            if not isinstance(entry, dict):
                raise DataError(
                    f'{where} must be as in {{"image": ..., "label": ...}}; it is {said(entry)}.'
                )
            label = entry.get("label")
            named = masks or label is not None
            cases.exams.append(_of_msd(dataset, where, entry.get("image"), label, masked=named))
        except DataError as error:
            cases.bad += error.faults
            cases.unused |= _stem(entry)
    cases.trained = len(cases.exams)
    for number, entry in enumerate(dataset.test, start=1):
        image = entry.get("image") if isinstance(entry, dict) else entry
        if masks:
            cases.met.append((UNMASKED, said(image)))
            cases.unused |= _stem(entry)
            continue
        try:
            where = f"{dataset.path}, entry {number} of test"
            cases.exams.append(_of_msd(dataset, where, image, None, masked=False))
        except DataError as error:
            cases.bad += error.faults


def _stem(entry: Any) -> set[str]:
    """The name of a case that an entry of MSD's lists has, where it says one."""
    image = entry.get("image") if isinstance(entry, dict) else entry
    return {stem_of(Path(image))} if isinstance(image, str) else set()


def _of_msd(dataset: DatasetJson, where: str, image: Any, label: Any, *, masked: bool) -> Exam:
    folder = dataset.path.parent
    try:
        path = named_file(folder, image, f"{where}, image")
    except DataError as error:
        if isinstance(image, str) and _is_version_1(folder / image):
            raise DataError(
                f"{where} names {shown(image)}, and {stem_of(Path(image))}_0000 is there: this is a"
                f" set of nnU-Net's version 1. {CONVERT}."
            ) from error
        raise
    mask = named_file(folder, label, f"{where}, label") if masked else None
    return Exam(stem_of(path), where, volumes_of(path, len(dataset.channels), where), mask)


def _is_version_1(path: Path) -> bool:
    try:
        return any((path.parent / f"{stem_of(path)}_0000{ending}").exists() for ending in ENDINGS)
    except (OSError, ValueError):
        return False

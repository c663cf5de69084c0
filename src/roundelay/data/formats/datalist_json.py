"""Lists of exams as MONAI writes them: JSON with ``training``, ``validation``, ``testing``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from roundelay.data.formats.channel_choice import same_channel
from roundelay.data.formats.json_file import named_file, plain_text, said, stem_of
from roundelay.data.formats.listed_exam import volumes_in, volumes_of
from roundelay.data.formats.nifti_names import FAMILIES
from roundelay.data.patients import Source
from roundelay.errors import DataError

TRAINING, VALIDATING, TESTING = ("training",), ("validation",), ("testing", "test")

LISTS = (*TRAINING, *VALIDATING, *TESTING)

GENERAL = ("image", "img", "images", "volume", "scan")
"""Names of files that say nothing of whose they are; the folder's name does then."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: where it stands, its list, its channels by number, its mask and its fold."""

    where: str
    list: str
    name: str
    channels: dict[int, Source]
    mask: Path | None
    fold: int | None
    subject: str


@dataclass
class Entries:
    """What a file lists, what is faulty, as sentences, and the names and subjects of entries that
    are, where they say them."""

    path: Path
    found: list[Entry] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)


def is_list(values: Any) -> bool:
    """Whether values of a JSON file are such lists."""
    return isinstance(values, dict) and any(isinstance(values.get(key), list) for key in LISTS)


def entries_of(path: Path, values: dict[str, Any], count: int) -> Entries:
    """All entries, each of `count` channels; of any number where that is 0."""
    entries = Entries(path)
    for key, number, value in _all(values):
        where = f"{path}, entry {number} of {key}"
        try:
            entries.found.append(_entry(path.parent, where, key, value, count))
        except DataError as error:
            entries.faults += error.faults
            entries.unused += _named(path.parent, value)
    return entries


def _named(folder: Path, value: Any) -> Iterator[tuple[str, str]]:
    """Name and subject of an entry in which something is wrong, as far as it has them."""
    entry = value if isinstance(value, dict) else {"image": value}
    images, subject = entry.get("image"), entry.get("subject")
    texts = images if isinstance(images, list) else [images]
    paths = [folder / text for text in texts if isinstance(text, str)]
    if paths:
        yield case_name(paths), subject if isinstance(subject, str) else ""


def count_of(path: Path, values: dict[str, Any]) -> int:
    """How many channels the first entry has. Raises DataError."""
    for key, number, value in _all(values):
        where = f"{path}, entry {number} of {key}"
        images = _images(where, value)
        if isinstance(images, list):
            return len(images)
        return volumes_in(named_file(path.parent, images, f"{where}, image"))
    raise DataError(f"{path} lists no exam.")


def _all(values: dict[str, Any]) -> Iterator[tuple[str, int, Any]]:
    for key in LISTS:
        own = values.get(key)
        for number, value in enumerate(own if isinstance(own, list) else [], start=1):
            yield key, number, value


def _entry(folder: Path, where: str, key: str, value: Any, count: int) -> Entry:
    images = _images(where, value)
    entry = value if isinstance(value, dict) else {}
    if isinstance(images, list):
        paths = _several(folder, where, images, count)
        channels = {number: Source(path) for number, path in enumerate(paths)}
    else:
        paths = [named_file(folder, images, f"{where}, image")]
        channels = volumes_of(paths[0], count or volumes_in(paths[0]), where)
    label = entry.get("label")
    return Entry(
        where,
        key,
        case_name(paths),
        channels,
        None if label is None else named_file(folder, _one(label), f"{where}, label"),
        _fold(where, entry.get("fold")),
        _subject(where, entry.get("subject")),
    )


def _images(where: str, value: Any) -> Any:
    """What an entry says of its images. Raises DataError where it says nothing."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or "image" not in value:
        raise DataError(
            f'{where} must be as in {{"image": ..., "label": ...}}; it is {said(value)}.'
        )
    return value["image"]


def _several(folder: Path, where: str, images: list[Any], count: int) -> list[Path]:
    if count and len(images) != count:
        raise DataError(
            f"{where} names {len(images)} images, the study {count} channels. A list names no"
            " channels: its images must be as many, in the order of channels in [data]."
        )
    return [named_file(folder, image, f"{where}, image") for image in images]


def _one(label: Any) -> Any:
    """A list of one file is that file."""
    return label[0] if isinstance(label, list) and len(label) == 1 else label


def _fold(where: str, value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise DataError(f"{where}, fold: must be a whole number from 0 on; it is {said(value)}.")
    return value


def _subject(where: str, value: Any) -> str:
    return "" if value is None else plain_text(value, f"{where}, subject", "who was examined")


def case_name(paths: list[Path]) -> str:
    """What an exam's files have in common: the beginning of their names up to a ``_``, ``-`` or
    point. Where that says nothing of whose they are, the name of their folder."""
    stems = [re.split(r"([_.-])", stem_of(path)) for path in paths]
    same = list(takewhile(lambda parts: len(set(parts)) == 1, zip(*stems, strict=False)))
    name = "".join(parts[0] for parts in same).rstrip("_.-")
    if len(paths) == 1:
        name = name.removesuffix("_0000")
    nameless = not name or any(same_channel(name, other) for other in _NAMELESS)
    return paths[0].parent.name if nameless else name


_NAMELESS = (*GENERAL, *(name for own in FAMILIES.values() for name in own))

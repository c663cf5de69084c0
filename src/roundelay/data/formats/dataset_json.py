"""``dataset.json`` as nnU-Net version 2 and the Medical Segmentation Decathlon (MSD) write it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.data.formats.json_file import plain_text, read_json_file, said
from roundelay.data.left_out import refuse, shown
from roundelay.errors import DataError
from roundelay.study.data_section import MOST_VALUE

NAME = "dataset.json"

IGNORE = "ignore"
"""The label of voxels that nobody marked: nnU-Net learns nothing from them."""

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")

CONVERT = "nnUNetv2_convert_old_nnUNet_dataset writes version 2"

MOST_NAMED = 256
"""Channels, or labels, of a set at most."""


@dataclass(frozen=True, slots=True)
class DatasetJson:
    """What the file says: `channels` by number, `labels` by name (the background and the label
    `ignored` left out), `ending` of all files.

    `entries` are those of ``dataset`` (by case), `training` and `test` those lists of MSD's
    variant, as they stand in the file; None where it has no such key.
    """

    path: Path
    channels: tuple[str, ...]
    labels: Mapping[str, tuple[int, ...]]
    ignored: int | None
    ending: str
    count: int | None
    entries: Mapping[str, Any] | None
    training: list[Any] | None
    test: list[Any]

    @property
    def is_msd(self) -> bool:
        """Whether it is MSD's variant: all channels of an exam in one file."""
        return self.training is not None


def read_dataset_json(path: Path) -> DatasetJson:
    """The file, parsed. Raises DataError with a sentence for each fault."""
    values = read_json_file(path)
    if not isinstance(values, dict):
        raise DataError(f"{path} must hold an object ({{...}}); it is {said(values)}.")
    _refuse_version_1(path, values)
    faults: list[str] = []
    old = "channel_names" not in values
    channels = _tried(faults, channels_of, path, values, "modality" if old else "channel_names")
    labels = _tried(faults, labels_of, path, values, old)
    ending = _tried(faults, _ending, path, values, old)
    count = _tried(faults, _count, path, values)
    entries = _tried(faults, _entries, path, values)
    training = _tried(faults, _list, path, values, "training") if old else None
    test = _tried(faults, _list, path, values, "test") if old and "test" in values else []
    refuse(faults)
    ignored = labels.pop(IGNORE, None)
    return DatasetJson(
        path, channels, labels, ignored and ignored[0], ending, count, entries, training, test
    )


def is_set(path: Path) -> bool:
    """Whether it is such a file, and no list of MONAI's under its name: that names no channels, or
    parts the exams (``validation``, ``testing``). One that can't be read is taken for it."""
    try:
        values = read_json_file(path)
    except DataError:
        return True
    if isinstance(values, list):
        return False
    if not isinstance(values, dict) or "channel_names" in values:
        return True
    named = isinstance(values.get("modality"), dict) and not {"validation", "testing"} & set(values)
    return named or not isinstance(values.get("training"), list)


def _tried(faults: list[str], read: Any, *arguments: Any) -> Any:
    try:
        return read(*arguments)
    except DataError as error:
        faults.extend(error.faults)
        return None


def _refuse_version_1(path: Path, values: dict[str, Any]) -> None:
    """Keys of version 1 without those of version 2; MSD's variant has such, and a list of files."""
    if "channel_names" in values or ("modality" in values and "training" in values):
        return
    if "modality" in values:
        raise DataError(
            f"{path} has the keys of nnU-Net's version 1 (modality for channel_names). {CONVERT}."
        )
    raise DataError(
        f'{path} has no channel_names, as in "channel_names": {{"0": "T1", "1": "FLAIR"}}. Add it.'
    )


def channels_of(path: Path, values: dict[str, Any], key: str) -> tuple[str, ...]:
    named = values.get(key)
    if not isinstance(named, dict) or not 0 < len(named) <= MOST_NAMED:
        raise DataError(f'{path}, {key}: must be as in {{"0": "T1"}}; it is {said(named)}.')
    wanted = [str(number) for number in range(len(named))]
    if lost := [number for number in wanted if number not in named]:
        raise DataError(
            f"{path}, {key}: the numbers must run from 0 to {len(named) - 1}; {lost[0]} is missing."
        )
    where = f"{path}, {key}"
    texts = [plain_text(named[n], f"{where}.{n}", "the channel's name") for n in wanted]
    return tuple(shown(text.strip()) for text in texts)


def labels_of(path: Path, values: dict[str, Any], old: bool) -> dict[str, tuple[int, ...]]:
    """Values by name, the background left out; of the label `IGNORE` its one value."""
    where = f"{path}, labels"
    named = values.get("labels")
    if not isinstance(named, dict) or not 0 < len(named) <= MOST_NAMED:
        raise DataError(
            f'{where}: must be as in {{"background": 0, "tumour": 1}}; it is {said(named)}.'
        )
    turned = all(isinstance(value, str) for value in named.values())
    if turned and not old:
        raise DataError(
            f"{where}: numbers are mapped to names, as in nnU-Net's version 1. Version 2 maps names"
            f' to numbers: {{"background": 0, "tumour": 1}}. {CONVERT}.'
        )
    found: dict[str, tuple[int, ...]] = {}
    for written, own in _by_name(where, named) if turned else _by_value(where, named):
        # However it is spelled, what nobody marked must not come to be a region.
        name = IGNORE if written.strip().casefold() == IGNORE else written
        found[name] = (*found.get(name, ()), *own)
    if len(found.get(IGNORE, (0,))) > 1:
        raise DataError(f"{where}: {IGNORE!r} must be one number.")
    return {name: own for name, own in found.items() if own != (0,)}


def _by_name(where: str, named: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for number, name in named.items():
        if not re.fullmatch("[0-9]{1,5}", number):
            raise DataError(f"{where}: {shown(number)!r} is no value of a mask.")
        yield shown(name), (_value(f"{where}: {shown(name)!r}", int(number)),)


def _by_value(where: str, named: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, value in named.items():
        place = f"{where}: {shown(name)!r}"
        several = value if isinstance(value, list) else [value]
        if not 0 < len(several) <= MOST_NAMED:
            raise DataError(f"{place} has {len(several)} values.")
        yield shown(name), tuple(dict.fromkeys(_value(place, one) for one in several))


def _value(place: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MOST_VALUE:
        raise DataError(
            f"{place} must be a whole number from 0 to {MOST_VALUE}, or a list of them; it is"
            f" {said(value)}."
        )
    return value


def _ending(path: Path, values: dict[str, Any], old: bool) -> str:
    if old and "file_ending" not in values:
        return ENDINGS[0]
    ending = values.get("file_ending")
    if ending not in ENDINGS:
        raise DataError(
            f"{path}, file_ending: must be one of {', '.join(ENDINGS)}, which are read here; it is"
            f" {said(ending)}. Convert the images to NIfTI first."
        )
    return str(ending)


def _count(path: Path, values: dict[str, Any]) -> int | None:
    count = values.get("numTraining")
    if count is not None and (type(count) is not int or count < 0):
        raise DataError(f"{path}, numTraining: must be a whole number; it is {said(count)}.")
    return count


def _entries(path: Path, values: dict[str, Any]) -> dict[str, Any] | None:
    entries = values.get("dataset")
    if entries is not None and not isinstance(entries, dict):
        raise DataError(
            f'{path}, dataset: must be as in {{"CASE": {{"images": [...], "label": ...}}}}; it is'
            f" {said(entries)}."
        )
    return entries


def _list(path: Path, values: dict[str, Any], key: str) -> list[Any]:
    found = values[key]
    if not isinstance(found, list):
        raise DataError(f"{path}, {key}: must be a list; it is {said(found)}.")
    return found

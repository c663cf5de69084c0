"""What marks a tumour in references of DICOM exams: numbers of segments, and their labels."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np

from roundelay.data.formats.dicom_header import (
    Header,
    is_dicom,
    quiet,
    read_header,
    read_tags,
)
from roundelay.data.formats.nifti_file import read_file
from roundelay.data.regions import BACKGROUND, whole_numbers
from roundelay.errors import DataError
from roundelay.study.data_section import MAIN, MOST_REGIONS

NIFTI_MASKS = 8
"""NIfTI masks that are opened, from among all; of segments and contours the headers say it."""

SHOWN = 20

SEQUENCES = ("SegmentSequence", "StructureSetROISequence")
"""Where a segmentation and a set of contours name what they hold."""

FIRST = ("whole", "gtv", "tumour", "tumor", "lesion", "neoplasm")
"""What a name has in it that is likely to be the main region's, the likeliest first."""

NAMED = (
    "Each number is a region, called as its label. The first is the main one. Check this: what is"
    " no tumour goes into ignored_labels, and a region may have several numbers, as in whole ="
    " [1, 2]."
)
MIXED = (
    "One number has several labels, or one label several numbers: they are one region until you say"
    " more. Where a site numbers otherwise, its labels say so."
)
UNNAMED = (
    "Not all have a label that could be a region's name: they are one region until you say more."
    " Take out what is no tumour (into ignored_labels), or name regions, as in enhancing = [4]; the"
    " first one is the main one."
)
ALONE = "Taken as the tumour. Check this."
NOTHING = "No segment or region was met in them: write here what marks a tumour."


@dataclass(slots=True)
class Met:
    """By number, how many references call it what; no label is an empty one. `kinds` are what the
    references are."""

    labels: dict[int, Counter[str]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)

    def sentences(self) -> Iterator[str]:
        """What was met."""
        yield "References: " + ", ".join(f"{k} in {n} exams" for k, n in self.kinds.items()) + "."
        met = [
            f"{number} {f'{label!r} ' if label else ''}({count} references)"
            for number, labels in sorted(self.labels.items())
            for label, count in sorted(labels.items())
        ]
        more = f" and {len(met) - SHOWN} more" if len(met) > SHOWN else ""
        if met:
            yield f"Numbers of segments, contours or values met: {', '.join(met[:SHOWN])}{more}."
        if self.kinds["NIfTI"] > NIFTI_MASKS:
            yield f"Of the NIfTI masks {NIFTI_MASKS} were opened."


def labels_met(references: Sequence[Header | Path]) -> Met:
    """The numbers and labels in references. Raises DataError where one can't be read."""
    met = Met()
    files = [one for one in references if isinstance(one, Path)]
    step = max(len(files) / NIFTI_MASKS, 1)
    opened = {files[int(n * step)] for n in range(min(len(files), NIFTI_MASKS))}
    for one in references:
        met.kinds[_kind(one)] += 1
        if isinstance(one, Header):
            found = _labels(one)
        else:
            found = dict.fromkeys(_values(one), "") if one in opened else {}
        for number, label in found.items():
            met.labels.setdefault(number, Counter())[label] += 1
    return met


def regions_of_labels(met: Met) -> tuple[Mapping[str, tuple[int, ...]], str]:
    """Regions, the main one first, and why they are these."""
    numbers = sorted(met.labels)
    if not numbers:
        return {MAIN: (1,)}, NOTHING
    names = {number: {plain(label) for label in met.labels[number]} for number in numbers}
    owners = Counter(name for own in names.values() for name in own if name)
    if any(len(own - {""}) > 1 for own in names.values()) or max(owners.values(), default=0) > 1:
        return {MAIN: tuple(numbers)}, MIXED
    if "" not in set().union(*names.values()) and len(numbers) <= MOST_REGIONS:
        called = {name: (number,) for number in numbers for name in names[number]}
        return {name: called[name] for name in sorted(called, key=_rank)}, NAMED
    return {MAIN: tuple(numbers)}, ALONE if len(numbers) == 1 else UNNAMED


def plain(label: str) -> str:
    """A label as the name of a region; empty where nothing of it can be one.

    >>> plain("Whole Tumör (T2)"), plain("GTV-1"), plain("腫瘍")
    ('whole_tumor_t2', 'gtv_1', '')
    """
    text = normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    return "_".join(re.findall(r"[a-z0-9]+", text))[:32].rstrip("_")


def _rank(name: str) -> int:
    return next((rank for rank, word in enumerate(FIRST) if word in name), len(FIRST))


def _kind(reference: Header | Path) -> str:
    if isinstance(reference, Path):
        return "NIfTI"
    return "SEG" if reference.kind == "seg" else "RTSTRUCT"


def values_in(mask: Path) -> set[int]:
    """The numbers in a reference, or in a mask as NIfTI, but for background. Raises DataError."""
    return set(_labels(read_header(mask)) if is_dicom(mask) else _values(mask))


def _labels(header: Header) -> dict[int, str]:
    return labels_in(header, read_tags(header.path, *SEQUENCES))


def labels_in(header: Header, dataset: Any) -> dict[int, str]:
    """A reference's numbers other than background's, with their labels. Raises DataError."""
    items, number, label = SEQUENCES[0], "SegmentNumber", "SegmentLabel"
    if header.kind == "rtstruct":
        items, number, label = SEQUENCES[1], "ROINumber", "ROIName"
    try:
        with quiet():
            found = {
                int(item[number].value): str(item.get(label) or "").strip()
                for item in dataset.get(items) or ()
            }
    except Exception as error:  # values are parsed where they are asked for: nearly anything
        raise DataError(
            f"The labels in {header.path} can't be read ({error}): truncated or damaged? Copy it"
            " anew."
        ) from error
    return {number: label for number, label in found.items() if number > BACKGROUND}


def _values(path: Path) -> list[int]:
    values: list[int] = np.unique(whole_numbers(read_file(path).labels(), str(path))).tolist()
    return [value for value in values if value > BACKGROUND]

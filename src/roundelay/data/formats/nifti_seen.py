"""What is seen in a folder of NIfTI exams: whose set, channels, values of masks, and sites."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from roundelay.data.formats.dicom_search import holds_dicom
from roundelay.data.formats.listing import walk
from roundelay.data.formats.nifti_exam import read_mask
from roundelay.data.formats.nifti_layouts import Exam, Exams, exams_in, refuse_nnunet
from roundelay.data.formats.nifti_names import (
    FAMILIES,
    NIFTI,
    is_mask,
    of_channel,
    of_mask,
    person_of,
    site_of,
    tails,
)
from roundelay.data.formats.nifti_regions import kind_of, meaning_of
from roundelay.data.formats.seen import Seen, in_nearly_all
from roundelay.data.formats.sites_seen import sites_of
from roundelay.data.regions import BACKGROUND, whole_numbers
from roundelay.errors import DataError
from roundelay.study.data_section import MOST_CHANNELS, PLAIN

DEEP, MANY = 4, 500
"""How far below a folder NIfTI files are looked for, and in how many folders at most."""

MOST_MET = 256
"""Values of one mask at most: a region may name as many."""

MASKS = 8
"""Masks that are opened, from among all exams."""


def seen_in(root: Path) -> Seen | None:
    """None where a folder holds no NIfTI files. Raises DataError."""
    if not _holds_nifti(root):
        return None
    refuse_nnunet(root)
    found = exams_in(root)
    exams = found.exams
    kind = kind_of([exam.name for exam in exams])
    values, opened = values_met(exams)
    meant = meaning_of(kind, [value for value in values if value != BACKGROUND])
    channels, about_channels = _channels(exams)
    sites, about_sites = _sites(root, found)
    looked = f"Values met in the masks of {opened} of {len(exams)} exams: {_list(values)}."
    return Seen(
        "nifti",
        f"{len(exams)} exams of NIfTI files" + (f", called as in {kind}." if kind else "."),
        channels,
        meant.regions,
        meant.ignored,
        sites,
        {
            "channels": about_channels,
            "sites": about_sites,
            "labels": (looked, meant.why) if opened else ("No exam has a mask.", meant.why),
            "ignored_labels": (meant.why_ignored,) if meant.why_ignored else (),
        },
    )


def values_met(exams: Sequence[Exam]) -> tuple[list[int], int]:
    """The values in the masks of a few exams, from the first to the last, and of how many. Raises
    DataError where one can't be read."""
    return values_in([found[0].path for exam in exams if len(found := of_mask(exam.files)) == 1])


def values_in(masks: Sequence[Path]) -> tuple[list[int], int]:
    """The same of masks by their paths."""
    some = masks if len(masks) <= MASKS else [masks[n * len(masks) // MASKS] for n in range(MASKS)]
    met: set[int] = set()
    for path in some:
        own = np.unique(whole_numbers(read_mask(path).labels(), str(path))).tolist()
        if len(own) > MOST_MET:
            raise DataError(
                f"The mask {path} holds {len(own)} values: is it an image? A mask holds a number"
                " for each kind of tissue. Put the mask in its place."
            )
        met |= set(own)
    return sorted(met), len(some)


def _channels(exams: Sequence[Exam]) -> tuple[tuple[str, ...], list[str]]:
    """Those that all exams have, or all but a few, in the order in which sets have them, and what
    to say of others.

    Raises DataError where there are none.
    """
    having = {
        family: sum(bool(of_channel(exam.files, family)) for exam in exams) for family in FAMILIES
    }
    chosen = tuple(family for family, count in having.items() if in_nearly_all(count, len(exams)))
    others = Counter(tail for exam in exams for tail in {*tails(exam.files)})
    if not any(having.values()):
        common = sorted(tail for tail, count in others.items() if count == len(exams))
        chosen = tuple(tail for tail in common if PLAIN.fullmatch(tail))[:MOST_CHANNELS]
    if not chosen:
        raise DataError(
            f"No channel is found in all {len(exams)} exams. Met were:"
            f" {_counted(others) or 'none'}. Here a folder is an exam and a file a channel: where"
            " images and masks lie in folders of their own, list them for MONAI (datalist);"
            " otherwise write the study by hand: docs/how-to/use-your-data.md."
        )
    whole = next((e for e in exams if all(of_channel(e.files, one) for one in chosen)), exams[0])
    every = all(having.get(name, len(exams)) == len(exams) for name in chosen)
    said = [
        f"In {'' if every else 'nearly '}all {len(exams)} exams"
        f" ({'the first' if whole is exams[0] else whole.name} calls them"
        f" {_called(whole, chosen)}), in the order in which the network takes them."
    ]
    some = {name: count for name, count in having.items() if count and name not in chosen}
    if some:
        said.append(
            f"Not in all: {_counted(some)}. To use one all the same, name it here and say below"
            " what stands in its place where it is missing."
        )
    return chosen, said


def _called(exam: Exam, channels: Sequence[str]) -> str:
    found = (of_channel(exam.files, channel) for channel in channels)
    return ", ".join(own[0].tail for own in found if own)


def _sites(root: Path, found: Exams) -> tuple[str, list[str]]:
    names = {exam.name for exam in found.exams} | {exam.folder for exam in found.exams}
    persons = {person_of(exam.name) for exam in found.exams}
    institutions = {site_of(exam.name) for exam in found.exams} - {None}
    return sites_of({root, found.place}, names, persons, len(institutions))


def _holds_nifti(root: Path) -> bool:
    """Whether there are NIfTI files; masks alone, beside DICOM, are those of its series."""
    masks = False
    for listing in walk(root, DEEP, MANY):
        found = [path for path in listing.files if NIFTI.fullmatch(path.name)]
        if not all(map(is_mask, found)):
            return True
        masks |= bool(found)
    return masks and not holds_dicom(root)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count} exams)" for name, count in sorted(counts.items())[:12])


def _list(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:20])) + (" and more" if len(values) > 20 else "")

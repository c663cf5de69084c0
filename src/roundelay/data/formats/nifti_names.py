"""What files of an exam are by their names: a channel, the mask, or neither; and whose exam it is.

A file's tail is its name without the exam's before it and ``.nii.gz`` behind it: ``t1ce``.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

NIFTI = re.compile(r"(?P<stem>.+?)\.(nii(\.gz)?|nrrd|nhdr|mha|mhd)", re.IGNORECASE)
"""Files of volumes: NIfTI, and what is read as if it were."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "t1ce": ("t1ce", "t1c", "t1gd", "t1post", "t1_ce", "t1_gd", "t1_post"),
    "t1": ("t1", "t1n", "t1w", "t1pre", "t1_pre"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f", "t2_flair"),
}
"""What the four channels of glioma sets are called, by the name that ours have."""

MASKS = (
    "seg", "segm", "final_seg", "brain_final_seg", "tumor_segmentation", "tumour_segmentation",
    "label-tumor_mask", "label-tumour_mask", "label-lesion_mask", "tumor_mask", "tumour_mask",
    "gtv",
)  # fmt: skip
"""Tails of masks of tumours."""

_ANY_MASKS = (
    "segmentation", "dseg", "mask", "label", "labels", "tumor", "tumour", "tumormask", "tumourmask",
)  # fmt: skip
"""Tails of masks of something."""

_CONTRAST = {"ce", "gd", "gad", "gadolinium", "contrast", "post", "postcontrast"}
"""Words before ``T1`` that make it the one with contrast."""

_WITHOUT = {"no", "non", "not", "without", "wo", "pre", "minus"}
"""Words that take back such a one behind them."""

_FUSED = ("glistrboost_manuallycorrected", "glistrboost")
"""What masks of BraTS-TCGA-GBM and -LGG end in: an expert's, and what a program made before."""

_MASK_WORDS = (
    "seg", "segm", "dseg", "segmentation", "mask", "msk", "label", "labels", "roi", "tumormask",
    "tumourmask",
)  # fmt: skip

_OTHER_MASKS = {"brain", "head", "skull", "parenchyma", "tissue", "automated", "auto", "pred"}
"""Words in the names of masks of something else, or made by a program alone."""

_PERSON = (
    re.compile(r"(?P<who>BraTS-[A-Za-z]+-[0-9]+)-[0-9]{3}"),
    re.compile(r"(?P<who>BraTS-MEN-RT-[0-9]+)-[0-9]"),
    re.compile(r"(?P<who>PatientID_[0-9]+)_Timepoint_[0-9]+"),  # MU-Glioma-Post
    re.compile(r"(?P<who>UPENN-GBM-[0-9]+)_[0-9]{2}"),
    re.compile(r"(?P<who>UCSF-PDGM-[0-9]+)_FU[0-9]+d?", re.IGNORECASE),
    re.compile(r"(?P<who>sub-[A-Za-z0-9]+)_ses-[A-Za-z0-9]+"),
)

_TCGA = re.compile(r"TCGA[-_](?P<site>[A-Z0-9]{2})[-_][A-Z0-9]{4}.*")

EXACT, DRESSED, ENDS, NOT = range(4)
"""How well a name fits, the best first: as it is, with a word that says how it was made, at its
end, not at all."""


_BETWEEN = re.compile(r"[-_. ]+")


def _joined(text: str) -> str:
    return _BETWEEN.sub("_", text)


@dataclass(frozen=True)
class Named:
    """A file of an exam, its tail, and whether the exam's name stands before that (`own`)."""

    path: Path
    stem: str
    tail: str
    own: bool

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(_BETWEEN.split(self.tail))

    @property
    def joined(self) -> str:
        """The tail, whatever stands between its words: ``t1_gd`` for ``T1 Gd``."""
        return _joined(self.tail)


def named(path: Path, exam: str) -> Named | None:
    """A file by its name; None where that isn't a NIfTI file's."""
    found = NIFTI.fullmatch(path.name)
    if not found:
        return None
    stem = found["stem"]
    own = re.match(rf"{re.escape(exam)}(?=[-_. ])[-_. ]+", stem, re.IGNORECASE)
    return Named(path, stem, stem[own.end() if own else 0 :].lower(), own is not None)


def of_channel(files: Sequence[Named], name: str) -> tuple[Named, ...]:
    """The files that fit a channel best: none, one, or several where that isn't plain.

    A pattern (``*_T1post``) is one of whole names; any other name also means what else that
    channel is called.
    """
    if any(sign in name for sign in "*?["):
        pattern = name.lower().removesuffix(".gz")
        for ending in (".nii", ".nrrd", ".mha"):
            pattern = pattern.removesuffix(ending)
        return tuple(one for one in files if fnmatchcase(one.stem.lower(), pattern))
    family = next((own for own, all_ in FAMILIES.items() if name.lower() in all_), None)
    return _best(files, lambda one: _fits_channel(one, name.lower(), family))


def of_mask(files: Sequence[Named]) -> tuple[Named, ...]:
    """The files that are the exam's mask by their names, the best alone. Where even that is called
    as masks of anything are, those of other folders (other programs' in BIDS) may be as well it."""
    best = _best(files, _fits_mask)
    if not best or _fits_mask(best[0]) == EXACT:
        return best
    places = {one.path.parent for one in best}
    others = [one for one in files if one.path.parent not in places and _fits_mask(one) < NOT]
    return (*best, *others)


def is_mask(path: Path) -> bool:
    """Whether a file of which nothing but its name is known is a mask by that."""
    one = named(path, "")
    return one is not None and _fits_mask(one) < NOT


def is_plain(one: Named) -> bool:
    """Whether a tail is the name of a channel or of masks, and nothing more."""
    channels = {name for names in FAMILIES.values() for name in names}
    return one.tail in channels | {*MASKS, *_ANY_MASKS}


def person_of(exam: str) -> str:
    """Whose exam it is, as public sets number them; of all others the exam itself."""
    found = (pattern.fullmatch(exam) for pattern in _PERSON)
    return next((match["who"] for match in found if match), exam)


def site_of(exam: str) -> str | None:
    """The institution in a TCGA barcode."""
    found = _TCGA.fullmatch(exam)
    return found["site"] if found else None


def tails(files: Sequence[Named]) -> Iterator[str]:
    """What else is there: of each file that is no mask."""
    masks = of_mask(files)
    return (one.tail for one in files if one not in masks)


def _best(files: Sequence[Named], fits: Callable[[Named], int]) -> tuple[Named, ...]:
    ranked = [(fits(one), one) for one in files]
    best = min((rank for rank, _ in ranked), default=NOT)
    return tuple(one for rank, one in ranked if rank == best and best < NOT)


def _fits_channel(one: Named, name: str, family: str | None) -> int:
    if one.tail == name:
        return EXACT
    known = (name,) if family is None else FAMILIES[family]
    if one.tail in known or one.joined in known:
        return EXACT
    if _fits_mask(one) < NOT:
        return NOT
    if one.joined in {f"{own}_bias" for own in known}:  # corrected for the coil's bias field
        return DRESSED
    if _has_contrast(one.words[:-1]) and family in ("t1", "t1ce"):
        ends = family == "t1ce" and _ends(one, (*known, *FAMILIES["t1"]))
    else:
        ends = _ends(one, known)
    return ENDS if ends else NOT


def _has_contrast(words: Sequence[str]) -> bool:
    """Whether a word says so, and the one before it doesn't take it back: ``no_contrast``."""
    before = ("", *words)
    return any(
        word in _CONTRAST and last not in _WITHOUT
        for last, word in zip(before, words, strict=False)
    )


def _ends(one: Named, known: Sequence[str]) -> bool:
    return any(one.joined.endswith(f"_{_joined(own)}") for own in known)


def _fits_mask(one: Named) -> int:
    if one.tail in MASKS:
        return EXACT
    if one.tail in _ANY_MASKS or one.tail.endswith(_FUSED[0]):
        return DRESSED
    if one.tail.endswith(_FUSED[1]):
        return ENDS
    if one.words[-1] in _MASK_WORDS and not _OTHER_MASKS & set(one.words):
        return ENDS
    return NOT

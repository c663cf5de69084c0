"""What the values of masks mean, by whose they are and which were met."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Regions = Mapping[str, tuple[int, ...]]

BEFORE_2023: Regions = {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)}

SINCE_2023: Regions = {"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)}

CAVITY = 4
"""In gliomas after surgery, BraTS 2024."""

KINDS = {
    "BraTS 2020": r"BraTS20_.+",
    "BraTS 2021": r"BraTS2021_[0-9]+",
    "FeTS": r"FeTS20[0-9]+_[0-9]+",
    "UCSF-PDGM": r"UCSF-PDGM-[0-9]+.*",
    "UPENN-GBM": r"UPENN-GBM-[0-9]+_[0-9]{2}",
    "BraTS 2024, after surgery": r"BraTS-GLI-[0-9]+-1[0-9]{2}",
    "BraTS 2023 or later": r"BraTS-GLI-[0-9]+-[0-9]{3}",
    "BraTS of children": r"BraTS-PED-[0-9]+-[0-9]{3}",
    "BraTS of meningiomas before radiotherapy": r"BraTS-MEN-RT-[0-9]+-[0-9]",
    "another set of BraTS 2023 or later": r"BraTS-[A-Za-z]+-[0-9]+-[0-9]{3}",
    "BIDS": r"sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?",
}
"""Sets by the names of their exams."""

OLD = ("BraTS 2020", "BraTS 2021", "FeTS", "UCSF-PDGM", "UPENN-GBM")
GLIOMA, TREATED = "BraTS 2023 or later", "BraTS 2024, after surgery"
CHILDREN = "BraTS of children"

MEANING_OLD = "1 necrosis, 2 oedema, 4 enhancing tumour, as BraTS had them before 2023."
MEANING_NEW = "1 necrosis, 2 oedema, 3 enhancing tumour, as BraTS has them since 2023."
MEANING_CHILDREN = (
    "All of it is one region: sets of children number their parts otherwise from year to year (3 is"
    " enhancing tumour in 2023, 1 is in 2024). See what yours says, and name regions, as in"
    " enhancing = [1]; the first one is the main one."
)
UNKNOWN = (
    "What they mean is not known from names. They are one region until you say more: take out what"
    " is no tumour (into ignored_labels), or name regions, as in enhancing = [4]; the first one is"
    " the main one."
)


@dataclass(frozen=True, slots=True)
class Meant:
    """Regions, values that are none, and what is to be said of both."""

    regions: Regions
    ignored: tuple[int, ...] = ()
    why: str = UNKNOWN
    why_ignored: str = ""


def kind_of(exams: Sequence[str]) -> str | None:
    """The set that all exams are called after."""
    found = (
        kind for kind, name in KINDS.items() if all(re.fullmatch(name, exam) for exam in exams)
    )
    return next(found, None)


def meaning_of(kind: str | None, values: Sequence[int]) -> Meant:
    """What values other than 0 mean in masks of a set (None: of no known one)."""
    met = set(values)
    if not met:
        return Meant({"tumour": (1,)}, why="None but 0 was met: write here what marks a tumour.")
    if met <= {1, 2, 4} and (kind in OLD or (kind not in KINDS and 4 in met)):
        return Meant(BEFORE_2023, why=f"{MEANING_OLD} Check this.")
    if kind in (GLIOMA, TREATED) and met <= {1, 2, 3, CAVITY}:
        return _since_2023(CAVITY in met or kind == TREATED)
    if kind == CHILDREN and met <= {1, 2, 3, 4}:
        return Meant({"tumour": (1, 2, 3, 4)}, why=MEANING_CHILDREN)
    if kind == "another set of BraTS 2023 or later" and met <= {1, 2, 3}:
        return Meant(
            SINCE_2023,
            why=f"{MEANING_NEW} Check this: sets of other tumours may number otherwise.",
        )
    if len(met) == 1:
        return Meant({"tumour": tuple(met)}, why="Taken as the tumour. Check this.")
    return Meant({"tumour": tuple(sorted(met))})


def _since_2023(cavity: bool) -> Meant:
    why = f"{MEANING_NEW} Check this."
    if cavity:
        said = "4 is the cavity that surgery left (BraTS 2024): background here, no tumour."
        return Meant(SINCE_2023, (CAVITY,), why, said)
    return Meant(
        SINCE_2023,
        (),
        f"{why} Sets after surgery (2024) have 4 too, a cavity: then ignored_labels = [4] in"
        " [data].",
    )

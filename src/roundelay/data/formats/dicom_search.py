"""Whether a folder holds DICOM: told by four bytes of a few of its files, and without pydicom."""

from collections.abc import Sequence
from pathlib import Path

from roundelay.data.formats.dicom_header import is_dicom
from roundelay.data.formats.listing import walk
from roundelay.data.formats.places import PREDICTION
from roundelay.errors import DataError

DEEP, MANY = 12, 500
"""How far below a folder, and in how many folders at most, it is looked for."""

EACH = 8
"""Files of one folder that are looked at, those first that are called as DICOM is."""

ENDS = {"", ".dcm", ".dicom", ".ima"}
"""Ends of names that DICOM files have; numbers are another."""


def holds_dicom(root: Path) -> bool:
    """Whether a file with DICOM's mark is met, other than in folders of predictions.

    Raises DataError where a folder can't be read.
    """
    return any(
        any(map(_is_marked, _likely(listing.files)))
        for listing in walk(root, DEEP, MANY)
        if all(path.name != PREDICTION for path in listing.files)
    )


def _likely(files: Sequence[Path]) -> list[Path]:
    return sorted(files, key=lambda path: (not _is_called_so(path.suffix.lower()), path))[:EACH]


def _is_called_so(end: str) -> bool:
    return end in ENDS or end[1:].isdecimal()


def _is_marked(path: Path) -> bool:
    try:
        return is_dicom(path)
    except DataError:  # whoever reads it after all says so
        return False

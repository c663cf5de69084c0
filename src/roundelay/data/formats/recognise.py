"""Which format a folder of images has: each is asked in turn, the most particular first."""

from collections.abc import Callable, Mapping
from pathlib import Path

from roundelay.data.formats import dicom_seen, lists_seen, nifti_seen
from roundelay.data.formats.places import holds_lgg, refuse_no_folder
from roundelay.data.formats.seen import Seen
from roundelay.errors import DataError, MissingExtraError

RECOGNISERS: Mapping[str, Callable[[Path], Seen | None]] = {
    "nnunet": lists_seen.nnunet_in,
    "datalist": lists_seen.datalist_in,
    "nifti": nifti_seen.seen_in,
    "dicom": dicom_seen.seen_in,
}
"""By the name of the format: what was seen of it in a folder, None where it isn't that format's.
Raises DataError where it is, and something is wrong, MissingExtraError where reading it needs one.
In the order in which they are asked."""


def recognise(root: Path) -> Seen | None:
    """What a folder holds, or a file that lists exams; None where that is patients of the LGG
    layout, or nothing known."""
    if root.is_file() and root.suffix.lower() == ".json":
        return lists_seen.nnunet_in(root) or lists_seen.datalist_in(root)
    refuse_no_folder(root)
    if holds_lgg(root):
        return None
    for name, recogniser in RECOGNISERS.items():
        try:
            seen = recogniser(root)
        except DataError:
            if name == "nifti" and (beside := _dicom_beside(root)) is not None:
                return beside
            raise
        if seen is not None:
            return seen
    return None


def _dicom_beside(root: Path) -> Seen | None:
    """What there is as DICOM, where NIfTI files can't be used: somebody converted a few series."""
    try:
        return dicom_seen.seen_in(root)
    except (DataError, MissingExtraError):
        return None

"""nnU-Net's and MSD's sets, and MONAI's lists, as ``roundelay init`` describes them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from roundelay.data.formats import datalist, nnunet
from roundelay.data.formats.dataset_json import NAME
from roundelay.data.formats.known import Format
from roundelay.data.formats.listing import list_folder
from roundelay.data.formats.nifti_regions import Regions, meaning_of
from roundelay.data.formats.nifti_seen import values_in
from roundelay.data.formats.seen import Seen
from roundelay.data.formats.sites_seen import HOW_TABLE, sites_of
from roundelay.data.image_settings import ANY
from roundelay.data.patients import DRAWN
from roundelay.data.regions import BACKGROUND
from roundelay.errors import DataError

UNMARKED = (
    "dataset.json has a label 'ignore', voxels that nobody marked. With ignored_labels they count"
    " as background: where that is wrong, leave those exams out."
)
NAMELESS = "The list names no channels: name them here, in the order of its images."
UNNAMED = "The list says nothing of the values in its masks."


def nnunet_in(root: Path) -> Seen | None:
    """A set with its ``dataset.json``; None where there is none. Raises DataError."""
    if not nnunet.looks_like(root):
        return None
    found = nnunet.channels_and_labels(root)
    if not found.regions:
        raise DataError(
            f"{NAME} in {root} names no label but the background: nothing could be learned. Write"
            ' what masks hold, as in "labels": {"background": 0, "tumour": 1}.'
        )
    sites, about_sites = _sites(nnunet, root)
    notes = {"sites": about_sites}
    if found.ignored:
        notes["ignored_labels"] = [UNMARKED]
    said = f"a dataset.json as nnU-Net or MSD have it, of {found.count} channels."
    return Seen("nnunet", said, found.channels, found.regions, found.ignored, sites, notes)


def datalist_in(root: Path) -> Seen | None:
    """MONAI's lists; None where there are none. Raises DataError."""
    if not root.is_file() and not datalist.looks_like(root):
        return None
    found = datalist.channels_and_labels(root)
    channels = found.channels or tuple(f"channel{number + 1}" for number in range(found.count))
    sites, about_sites = _sites(datalist, root)
    notes: dict[str, Sequence[str]] = {"sites": about_sites}
    if not found.channels:
        notes["channels"] = [NAMELESS]
    regions = found.regions
    if not regions:
        regions, notes["labels"] = _regions_of(datalist.masks_in(root))
    said = f"a list of exams as MONAI has it, of {found.count} channels."
    return Seen("datalist", said, channels, regions, sites=sites, notes=notes)


def _sites(layout: Format, root: Path) -> tuple[str, list[str]]:
    """Where exams stand that a set or a list names, and what to say of it."""
    try:
        found = layout.find_patients(root, replace(ANY, on_bad_exam="leave-out"))
    except DataError:  # told of when the study is opened
        return "institution", [HOW_TABLE]
    names = {text for p in found.patients for text in (p.id, p.folder)} | found.unused
    persons = {p.person for p in found.patients}
    folders = {root.parent} if root.is_file() else {root, *list_folder(root).folders}
    placed = any(p.split or p.drawn != DRAWN for p in found.patients)
    return sites_of(folders, names, persons, len({p.site for p in found.patients}), placed=placed)


def _regions_of(masks: Sequence[Path]) -> tuple[Regions, Sequence[str]]:
    """What the values in a few masks may mean, and what to say of it. Raises DataError."""
    values, opened = values_in(masks)
    meant = meaning_of(None, [value for value in values if value != BACKGROUND])
    looked = f"Values met in {opened} of {len(masks)} masks: {', '.join(map(str, values))}."
    return meant.regions, (UNNAMED, looked, meant.why)

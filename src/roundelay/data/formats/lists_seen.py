"""nnU-Net's and MSD's sets, and MONAI's lists, as ``roundelay init`` describes them."""

from collections.abc import Sequence
from pathlib import Path

from roundelay.data.formats import datalist, nnunet
from roundelay.data.formats.dataset_json import NAME
from roundelay.data.formats.nifti_regions import Regions, meaning_of
from roundelay.data.formats.nifti_seen import values_in
from roundelay.data.formats.seen import Seen
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
    notes = {"ignored_labels": [UNMARKED]} if found.ignored else {}
    said = f"a dataset.json as nnU-Net or MSD have it, of {found.count} channels."
    return Seen("nnunet", said, found.channels, found.regions, found.ignored, notes=notes)


def datalist_in(root: Path) -> Seen | None:
    """MONAI's lists; None where there are none. Raises DataError."""
    if not root.is_file() and not datalist.looks_like(root):
        return None
    found = datalist.channels_and_labels(root)
    channels = found.channels or tuple(f"channel{number + 1}" for number in range(found.count))
    notes: dict[str, Sequence[str]] = {} if found.channels else {"channels": [NAMELESS]}
    regions = found.regions
    if not regions:
        regions, notes["labels"] = _regions_of(datalist.masks_in(root))
    said = f"a list of exams as MONAI has it, of {found.count} channels."
    return Seen("datalist", said, channels, regions, notes=notes)


def _regions_of(masks: Sequence[Path]) -> tuple[Regions, Sequence[str]]:
    """What the values in a few masks may mean, and what to say of it. Raises DataError."""
    values, opened = values_in(masks)
    meant = meaning_of(None, [value for value in values if value != BACKGROUND])
    looked = f"Values met in {opened} of {len(masks)} masks: {', '.join(map(str, values))}."
    return meant.regions, (UNNAMED, looked, meant.why)

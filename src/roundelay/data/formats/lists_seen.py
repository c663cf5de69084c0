"""nnU-Net's and MSD's sets, and MONAI's lists, as ``roundelay init`` describes them."""

from pathlib import Path

from roundelay.data.formats import datalist, nnunet
from roundelay.data.formats.seen import Seen

UNMARKED = (
    "dataset.json has a label 'ignore', voxels that nobody marked. With ignored_labels they count"
    " as background: where that is wrong, leave those exams out."
)
NAMELESS = "The list names no channels: name them here, in the order of its images."
UNNAMED = "The list says nothing of the values in its masks: write here what they mean."


def nnunet_in(root: Path) -> Seen | None:
    """A set with its ``dataset.json``; None where there is none. Raises DataError."""
    if not nnunet.looks_like(root):
        return None
    found = nnunet.channels_and_labels(root)
    notes = {"ignored_labels": [UNMARKED]} if found.ignored else {}
    said = f"a dataset.json as nnU-Net or MSD have it, of {found.count} channels."
    return Seen("nnunet", said, found.channels, found.regions, found.ignored, notes=notes)


def datalist_in(root: Path) -> Seen | None:
    """MONAI's lists; None where there are none. Raises DataError."""
    if not datalist.looks_like(root):
        return None
    found = datalist.channels_and_labels(root)
    channels = found.channels or tuple(f"channel{number + 1}" for number in range(found.count))
    notes = {} if found.channels else {"channels": [NAMELESS]}
    notes |= {} if found.regions else {"labels": [UNNAMED]}
    said = f"a list of exams as MONAI has it, of {found.count} channels."
    return Seen("datalist", said, channels, found.regions or {"tumour": (1,)}, notes=notes)

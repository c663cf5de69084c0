"""The slices of one patient's folder, by number: each once, with its mask, and nobody else's."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from roundelay.data.formats.listing import list_folder
from roundelay.data.left_out import HIDDEN, ODD
from roundelay.errors import DataError

FOLDER = re.compile(r"(?P<id>[^_]+_(?P<site>[^_]+)_[^_]+)(_.*)?")
"""A patient's folder: ``TCGA_<institution>_<number>``, and more behind it."""

_SLICE = re.compile(r"(?P<stem>.+)_(?P<number>[0-9]+)(?P<mask>_mask)?\.tiff?", re.IGNORECASE)

INSIDE = "Folders inside patients' folders, not looked into"
UNFIT = "Files in patients' folders named otherwise than <folder>_N.tif, left out"
LONE_MASKS = "Masks without an image, left out"
GAP = "Patients with a gap in the numbering of their slices, which HD95 takes for neighbours"
SOME_MASKS = "Patients with masks for some of their slices only, none of which is used"


@dataclass(frozen=True, slots=True)
class Slices:
    """Images and masks of a folder by number, and what else was met: reasons with their things."""

    folder: Path
    images: dict[int, Path]
    masks: dict[int, Path]
    met: tuple[tuple[str, str], ...]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the images, from the lowest on."""
        return sorted(self.images)

    def gaps(self) -> Iterator[tuple[str, str]]:
        """The first gap in the numbering, where there is one."""
        for before, after in pairwise(self.numbers):
            if after > before + 1:
                lost = f"slice {before + 1}"
                lost += f" to {after - 1}" * (after > before + 2)
                yield GAP, f"{self.folder.name}, {lost}"
                return

    def unpaired(self) -> Iterator[tuple[str, str]]:
        """Masks that can't be used where none is needed."""
        name = self.folder.name
        yield from (
            (LONE_MASKS, f"{name}/{self.masks[n].name}") for n in self.masks if n not in self.images
        )
        having = self.images.keys() & self.masks.keys()
        if having and len(having) < len(self.images):
            yield SOME_MASKS, name


def holds_slices(folder: Path) -> bool:
    """Whether a folder has a file that is called as a slice is."""
    return any(_SLICE.fullmatch(path.name) for path in list_folder(folder).files)


def same_name(name: str) -> str:
    """What two names have in common that differ in case, or in how their letters are composed."""
    return unicodedata.normalize("NFC", name).casefold()


def read_slices(folder: Path) -> Slices:
    """A patient's slices by number. Raises DataError where it isn't plain which they are."""
    listing, inside = list_folder(folder), folder.name
    met = [
        *((HIDDEN, f"{inside}/{path.name}") for path in listing.hidden),
        *((ODD, f"{inside}/{path.name}") for path in listing.odd),
        *((INSIDE, f"{inside}/{path.name}") for path in listing.folders),
    ]
    found: dict[tuple[bool, int], Path] = {}
    stems: dict[str, Path] = {}
    for path in listing.files:
        match = _SLICE.fullmatch(path.name)
        if not match:
            met.append((UNFIT, f"{inside}/{path.name}"))
            continue
        stems.setdefault(same_name(match["stem"]), path)
        kind = bool(match["mask"]), int(match["number"])
        if (before := found.setdefault(kind, path)) is not path:
            what = "The mask of slice" if kind[0] else "Slice"
            raise DataError(
                f"{what} {kind[1]} stands twice in {folder}: {before.name} and {path.name}."
                " Keep one of them."
            )
    _refuse_others(folder, list(stems.values()))
    images = {number: path for (mask, number), path in found.items() if not mask}
    masks = {number: path for (mask, number), path in found.items() if mask}
    if not images:
        raise DataError(f"{folder} has masks but no images.")
    return Slices(folder, images, masks, tuple(met))


def refuse_unmasked(slices: Slices) -> None:
    """Raise DataError unless every image has a mask and every mask an image."""
    if missing := sorted(slices.images.keys() ^ slices.masks.keys()):
        number = missing[0]
        lacks = "a mask" if number in slices.images else "an image"
        which = f"{lacks} missing for slice {number}" if slices.masks else "no masks"
        raise DataError(
            f"{slices.folder} has {which}. Every slice N needs ..._N.tif and ..._N_mask.tif"
            " for training and scoring."
        )


def _refuse_others(folder: Path, firsts: Sequence[Path]) -> None:
    """Raise DataError where files are called after several patients or dates, or another one."""
    if len(firsts) > 1:
        raise DataError(
            f"{folder} holds slices under two names, {firsts[0].name} and {firsts[1].name}: of"
            " another patient, or of another date? Move those that are not of this folder away."
        )
    own = FOLDER.fullmatch(folder.name)
    match = _SLICE.fullmatch(firsts[0].name)
    other = FOLDER.fullmatch(match["stem"]) if match else None
    if own and other and same_name(own["id"]) != same_name(other["id"]):
        raise DataError(
            f"{folder} holds slices of another patient, such as {firsts[0].name}. Rename the folder"
            " or move them away."
        )

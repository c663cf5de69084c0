"""A patient: the unit of split and score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.survey import TEST, VALIDATION
from roundelay.study.names import PatientId, SiteName

DRAWN = (VALIDATION, TEST)
"""The splits to which patients are drawn whom nothing has placed; who is not drawn trains."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a channel lies: a file, or one volume of a file of several (the first is 0)."""

    path: Path
    volume: int | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """One exam's files, as a format lays them, and how many slices they hold.

    `images` are all files with pixels, `masks` those of the reference, empty where there are none.
    Where a file is a volume, `channels` says which one each of the study's channels is, None for
    one that is missing and filled with zeros. `settings` say how all of it is read. `subject` is
    who was examined: all exams of one stand in one split. `drawn` are the splits to which one may
    be drawn: where a list names the test patients, nobody else is drawn to test.

    `tumour` (one bool a slice, from the lowest to the highest), `tumour_size` (voxels), `head_size`
    (likewise), `digest` (over the bytes of all files), `pictures` (a digest of each slice's pixels,
    empty for one of a single grey), `noticed`, `values` (as of the volume), `split` are filled in
    when the site opens its files, and `cut_off`: voxels of the tumour that a network won't see.
    `fault` says why the exam can't be used, where such exams are left out: it has no split then.
    """

    id: PatientId
    site: SiteName
    folder: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    slices: int
    format: str = "lgg"
    channels: tuple[Source | None, ...] = ()
    settings: ImageSettings = LGG_SETTINGS
    subject: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    drawn: tuple[str, ...] = DRAWN
    tumour: tuple[bool, ...] = ()
    tumour_size: int = 0
    cut_off: int = 0
    digest: str = ""
    head_size: int = 0
    pictures: tuple[str, ...] = ()
    fault: str = ""
    noticed: tuple[tuple[str, str], ...] = ()
    values: tuple[int, ...] = ()

    @property
    def person(self) -> str:
        """Who was examined: several exams may be of one."""
        return self.subject or self.id

    def slice_name(self, number: int) -> str:
        """What a slice is called where it is told of: its own file, or its number from 1 on."""
        if self.channels:
            return f"{self.folder}, slice {number + 1}"
        return self.images[number].name

    def mask_name(self, number: int) -> str:
        """Where the mask of a slice lies."""
        if self.channels:
            return f"{self.masks[0]}, slice {number + 1},"
        return str(self.masks[number])

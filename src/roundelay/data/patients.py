"""A patient: the unit of split and score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roundelay.study.names import PatientId, SiteName


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient's files, as a format lays them, and how many slices they hold.

    `masks` is empty where there are none. `tumour` (one bool a slice, from the lowest to the
    highest), `tumour_size` (pixels), `head_size` (likewise), `digest` (over the bytes of all
    files), `pictures` (a digest of each slice's pixels, empty for one of a single grey) and `split`
    are filled in when the site opens its files.
    """

    id: PatientId
    site: SiteName
    folder: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    slices: int
    format: str = "lgg"
    attributes: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    tumour: tuple[bool, ...] = ()
    tumour_size: int = 0
    digest: str = ""
    head_size: int = 0
    pictures: tuple[str, ...] = ()

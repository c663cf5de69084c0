"""The patients that a finished model is used on: all their files looked at before any is used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roundelay.data.formats.known import known_format
from roundelay.data.image_settings import ImageSettings, with_site
from roundelay.data.left_out import Found, LeftOut
from roundelay.data.opening import read_patients
from roundelay.data.remarks import remarks_of
from roundelay.errors import DataError, RunFolderError, StudyError
from roundelay.files.toml_file import read_toml_file
from roundelay.learning.predict import InferenceSettings
from roundelay.study.data_section import SiteImages


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A folder after all its files were looked at, and before the first patient's turn: how many
    patients, what was left out or noticed, and how many an earlier try has finished."""

    patients: int
    left_out: tuple[LeftOut, ...]
    finished: int = 0


OnFound = Callable[[LookedAt], None]

OnPatient = Callable[[int, int], None]

UNREADABLE = "Patients with masks that can't be used, which are not drawn"


def nobody_is_told(_found: LookedAt) -> None:
    """Nobody is told."""


def nobody_watches(_done: int, _total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The layout of a folder, and how its exams are read."""

    format: str
    images: ImageSettings


def asked_of(
    header: Mapping[str, Any],
    settings: InferenceSettings,
    format: str | None,
    site: Path | str | None,
) -> Asked:
    """What a model asks of a folder: its own format where none is named, its channels and regions,
    and what the file `site` says that the folder has otherwise. Raises StudyError."""
    own = (header.get("images") or {}).get("format", "lgg")
    found = settings.images
    if site is not None:
        found = with_site(found, read_toml_file(SiteImages, Path(site), StudyError))
    return Asked(format or own, found)


def read_folder(data: Path, asked: Asked, *, masks: bool) -> Found:
    """The patients of a folder in one of the known layouts, every file of them opened.

    Where no `masks` are needed, those that can't be used are left out. Raises DataError naming
    every faulty file.
    """
    found = known_format(asked.format, RunFolderError).find_patients(
        data, asked.images, masks=masks
    )
    if masks:
        opened = read_patients(found.patients)
        return Found(opened, found.left_out + remarks_of(opened))
    # Masks are drawn and used for nothing: no exam is brought onto the grid of one.
    apart = asked.images.align == "resample"
    wanted_ones = [replace(one, masks=()) if apart else one for one in found.patients]
    bare = read_patients([replace(patient, masks=()) for patient in wanted_ones])
    usable, faults = [], []
    for patient, wanted in zip(bare, wanted_ones, strict=True):
        try:
            usable.append(read_patients([wanted])[0] if wanted.masks else patient)
        except DataError as error:
            usable.append(patient)
            faults.append(str(error))
    return Found(tuple(usable), (*found.left_out, *remarks_of(usable), *_unreadable(faults)))


def _unreadable(faults: Sequence[str]) -> tuple[LeftOut, ...]:
    if not faults:
        return ()
    return (LeftOut(UNREADABLE, len(faults), faults[0].rstrip(".")),)

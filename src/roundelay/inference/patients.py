"""The patients that a finished model is used on: all their files looked at before any is used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from roundelay.data.formats.known import known_format
from roundelay.data.image_settings import ImageSettings, with_site
from roundelay.data.left_out import Found, LeftOut, together
from roundelay.data.opening import read_patients
from roundelay.data.patients import Patient
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.remarks import remarks_of
from roundelay.errors import DataError, RunFolderError, StudyError
from roundelay.files.toml_file import read_toml_file
from roundelay.learning.predict import InferenceSettings
from roundelay.study.data_section import FIXED, LGG_CHANNELS, OnBadExam, SiteImages


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
    """The layout of a folder, how its exams are read, and how the model sees their slices."""

    format: str
    images: ImageSettings
    seen: Preprocessing


def asked_of(
    header: Mapping[str, Any],
    settings: InferenceSettings,
    format: str | None,
    site: Path | str | None,
    on_bad_exam: str = "refuse",
) -> Asked:
    """What a model asks of a folder: its own format where none is named, its channels and regions,
    and what the file `site` says that the folder has otherwise. Raises StudyError."""
    known: tuple[OnBadExam, ...] = get_args(OnBadExam)
    chosen = next((one for one in known if one == on_bad_exam), None)
    if chosen is None:
        raise StudyError(f"--on-bad-exam {on_bad_exam!r} is none of {', '.join(known)}.")
    own = (header.get("images") or {}).get("format", "lgg")
    found = replace(settings.images, on_bad_exam=chosen)
    if site is not None:
        found = with_site(found, read_toml_file(SiteImages, Path(site), StudyError))
    _refuse_other_channels(format or own, found)
    return Asked(format or own, found, settings.preprocessing)


def _refuse_other_channels(format: str, asked: ImageSettings) -> None:
    """Raise StudyError where slices of a fixed layout would pass for what a model was trained on:
    their channels have no names that could be looked up."""
    if format not in FIXED:
        return
    whose = f"Folders of the format {format} have the channels {', '.join(LGG_CHANNELS)}"
    if asked.channels != LGG_CHANNELS:
        raise StudyError(
            f"{whose}, and this model was trained on {', '.join(asked.channels)}. Give it a folder"
            " that has those."
        )
    if len(asked.regions) > 1:
        raise StudyError(
            f"{whose} and masks of one region, and this model marks"
            f" {', '.join(asked.region_names)}. Give it a folder that has those."
        )


def read_folder(data: Path, asked: Asked, *, masks: bool) -> Found:
    """The patients of a folder in one of the known layouts, every file of them opened; those that
    are left out for their faults are not among them, and said.

    Where no `masks` are needed, those that can't be used are left out. Raises DataError naming
    every faulty file.
    """
    found = known_format(asked.format, RunFolderError).find_patients(
        data, asked.images, masks=masks
    )
    if masks:
        opened = read_patients(found.patients, asked.seen)
        return Found(_without_fault(opened), together((*found.left_out, *remarks_of(opened))))
    # Masks are drawn and used for nothing: no exam is brought onto the grid of one.
    apart = asked.images.align == "resample"
    wanted_ones = [replace(one, masks=()) if apart else one for one in found.patients]
    bare = read_patients([replace(patient, masks=()) for patient in wanted_ones])
    usable, faults = [], []
    for patient, wanted in zip(bare, wanted_ones, strict=True):
        try:
            again = wanted.masks and not patient.fault
            usable.append(read_patients([wanted], asked.seen)[0] if again else patient)
        except DataError as error:
            usable.append(patient)
            faults.append(str(error))
    left_out = (*found.left_out, *remarks_of(usable), *_unreadable(faults))
    return Found(_without_fault(usable), together(left_out))


def _without_fault(patients: Sequence[Patient]) -> tuple[Patient, ...]:
    return tuple(patient for patient in patients if not patient.fault)


def _unreadable(faults: Sequence[str]) -> tuple[LeftOut, ...]:
    if not faults:
        return ()
    return (LeftOut(UNREADABLE, len(faults), faults[0].rstrip(".")),)

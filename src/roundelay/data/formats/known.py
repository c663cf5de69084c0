"""The layouts of images that are known, by the name that a study and the command line give them."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from roundelay.data.image_settings import ImageSettings
from roundelay.data.left_out import Found
from roundelay.data.patients import Patient
from roundelay.data.volumes import Volume
from roundelay.errors import UserError


class Format(Protocol):
    """What the module of a format has."""

    ATTRIBUTES: str
    """The table beside the patients that says more of them."""

    FOLDER_EACH: bool
    """Whether the masks of an exam are several files, in a folder of its name."""

    def find_patients(
        self, root: Path, settings: ImageSettings = ..., *, masks: bool = True
    ) -> Found:
        """All exams by names and headers alone, and what was left out. Raises DataError."""

    def read_volume(self, patient: Patient) -> Volume:
        """One exam, its masks too where it has them. Raises DataError naming every faulty file."""

    def mask_files(
        self, patient: Patient, volume: Volume, regions: NDArray[np.bool_]
    ) -> dict[str, bytes]:
        """Regions bool ``[region, slice, row, column]`` as the format has masks: files by name."""

    def mask_names(self, patient: Patient) -> list[str]:
        """The names of those files."""


class _Formats(Mapping[str, Format]):
    """Modules by name, each imported when it is first used: those that read NIfTI and DICOM take a
    second, which a site with other images never needs."""

    def __getitem__(self, name: str) -> Format:
        if name not in NAMES:
            raise KeyError(name)
        return cast(Format, import_module(f"roundelay.data.formats.{name}"))

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


NAMES = ("lgg", "nifti", "nnunet", "datalist", "dicom")

FORMATS: Mapping[str, Format] = _Formats()


def known_format(name: str, error: type[UserError]) -> Format:
    """Raises `error` for a name that is no format's."""
    if name not in FORMATS:
        raise error(f"--format {name!r} is not known. Known: {', '.join(FORMATS)}.")
    return FORMATS[name]


def read_volume(patient: Patient) -> Volume:
    """One exam, by its own format. Raises DataError naming every faulty file."""
    return FORMATS[patient.format].read_volume(patient)

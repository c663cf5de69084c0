"""A folder an exam, a NIfTI file a channel: BraTS, FeTS and whatever is laid out as they are.

``<exam>/<exam>_<channel>.nii.gz`` and ``<exam>/<exam>_seg.nii.gz``, packed or not.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from roundelay.data.formats.listing import list_folder
from roundelay.data.formats.nifti_exam import mask_files, mask_names, read_exam, slices_of
from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.left_out import Found, counted, refuse
from roundelay.data.patients import Patient, Source
from roundelay.data.tables import read_attributes
from roundelay.errors import DataError
from roundelay.study.names import PatientId, SiteName

__all__ = ["ATTRIBUTES", "FOLDER_EACH", "find_patients", "mask_files", "mask_names", "read_volume"]

ATTRIBUTES = "data.csv"

FOLDER_EACH = False

read_volume = read_exam

SITE = SiteName("all")
"""Where patients stand whom no table places."""

MASK = ("seg", "final_seg", "segm", "tumor_segmentation", "mask", "label")

ALIASES = (
    ("t1", "t1n", "t1w"),
    ("t1ce", "t1c", "t1gd", "t1post"),
    ("t2", "t2w"),
    ("flair", "t2f", "t2_flair"),
)

_NIFTI = re.compile(r"(?P<stem>.+?)\.nii(\.gz)?", re.IGNORECASE)


def find_patients(
    root: Path, settings: ImageSettings = LGG_SETTINGS, *, masks: bool = True
) -> Found:
    """All exams; headers alone are opened. Raises DataError naming every faulty one."""
    attributes = read_attributes(root / ATTRIBUTES)
    patients: list[Patient] = []
    faults: list[str] = []
    met: list[tuple[str, str]] = []
    for folder in list_folder(root).folders:
        files = dict(_named(list_folder(folder).files))
        if not files:
            met.append(("Folders without NIfTI files, left out", folder.name))
            continue
        try:
            patient = _patient(folder, files, settings, masks)
            patients.append(replace(patient, attributes=attributes.get(patient.id, {})))
        except DataError as error:
            faults += error.faults
    refuse(faults)
    if not patients:
        raise DataError(
            f"{root} holds no folder with NIfTI files (<exam>/<exam>_<channel>.nii.gz)."
        )
    return Found(tuple(patients), counted(met))


def _named(files: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for path in files:
        if name := _NIFTI.fullmatch(path.name):
            yield name["stem"], path


def _patient(folder: Path, files: dict[str, Path], settings: ImageSettings, masks: bool) -> Patient:
    mask = _one(files, MASK)
    if mask is None and masks:
        raise DataError(f"{folder} has no mask (<exam>_seg.nii.gz).")
    channels = tuple(_channel(folder, files, name, settings) for name in settings.channels)
    found = Patient(
        id=PatientId(folder.name),
        site=SITE,
        folder=folder.name,
        images=tuple(dict.fromkeys(source.path for source in channels if source)),
        masks=(mask,) if mask else (),
        slices=0,
        format="nifti",
        channels=channels,
        settings=settings,
    )
    return replace(found, slices=slices_of(found))


def _channel(
    folder: Path, files: dict[str, Path], name: str, settings: ImageSettings
) -> Source | None:
    here = settings.name_here(name)
    aliases = next((own for own in ALIASES if here.lower() in own), (here.lower(),))
    if (path := _one(files, aliases)) is not None:
        return Source(path)
    if settings.missing == "zero":
        return None
    kind, _, other = settings.missing.partition(":")
    if kind == "substitute" and other != name:
        return _channel(folder, files, other, replace(settings, missing="refuse"))
    raise DataError(
        f"{folder} has no channel {here!r} (<exam>_{here}.nii.gz). Where a site lacks one, or calls"
        " it otherwise, say so for that site: missing_channels, channels."
    )


def _one(files: dict[str, Path], names: Sequence[str]) -> Path | None:
    for name in names:
        for stem, path in files.items():
            if re.fullmatch(rf"(.*[-_])?{re.escape(name)}", stem, re.IGNORECASE):
                return path
    return None

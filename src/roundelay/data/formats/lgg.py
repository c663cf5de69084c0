"""The layout of the public LGG set: one folder a patient, TIFF slices with masks beside them.

``TCGA_<institution>_<number>_<date>/<folder>_<slice>.tif`` (8 bits, three channels: pre-contrast,
FLAIR, post-contrast) and ``<folder>_<slice>_mask.tif`` (0 or 255); attributes in ``data.csv``.
Buda, Saha, Mazurowski, Computers in Biology and Medicine 109 (2019).
"""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from roundelay.data.patients import Patient
from roundelay.data.tables import read_attributes
from roundelay.errors import DataError
from roundelay.study.names import PatientId, SiteName

ATTRIBUTES = "data.csv"

_FOLDER = re.compile(r"(?P<id>[^_]+_(?P<site>[^_]+)_[^_]+)(_.*)?")

_SLICE = re.compile(r"_(?P<number>\d+)(?P<mask>_mask)?\.tiff?$", re.IGNORECASE)


def find_patients(root: Path, *, masks: bool = True) -> tuple[Patient, ...]:
    """All patients by the names of folders and files; no image is opened.

    With `masks`, every slice must have one. `root` may also be the folder above. Raises DataError.
    """
    if not root.is_dir():
        raise DataError(
            f"There is no folder {root}. Give the folder that holds the patients' folders."
        )
    folders = _patient_folders(root)
    attributes = read_attributes(folders[0].parent / ATTRIBUTES)
    patients: dict[str, Patient] = {}
    for folder in folders:
        patient = _patient(folder, attributes, masks)
        if patient.id in patients:
            raise DataError(
                f"Patient {patient.id} has two folders, {patients[patient.id].folder} and"
                f" {folder.name}: they could come to stand in two splits. Keep one of them."
            )
        patients[patient.id] = patient
    return tuple(patients.values())


def read_image(path: Path) -> NDArray[np.uint8]:
    """One slice, uint8 ``[height, width, 3]``. Raises DataError for anything else."""
    pixels, mode = _read(path)
    if mode != "RGB" or pixels.dtype != np.uint8:
        raise DataError(
            f"{path} has mode {mode}; expected 8 bits and three channels"
            " (pre-contrast, FLAIR, post-contrast). Convert it and try again."
        )
    return pixels


def read_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """One mask, bool ``[height, width]``, of the image's shape. Raises DataError."""
    pixels, mode = _read(path)
    if mode not in ("L", "1", "P") or pixels.ndim != 2:
        raise DataError(f"The mask {path} has mode {mode}; expected one channel of 8 bits.")
    if pixels.shape != shape:
        raise DataError(
            f"The mask {path} is {pixels.shape[0]} x {pixels.shape[1]}, its image"
            f" {shape[0]} x {shape[1]}. Both must have one size."
        )
    values = np.unique(pixels)
    if not (set(values.tolist()) <= {0, 255} or set(values.tolist()) <= {0, 1}):
        shown = ", ".join(str(value) for value in values[:6])
        raise DataError(f"The mask {path} holds the values {shown}; expected 0 and 255 alone.")
    return pixels > 0


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write one mask as the format has it: uint8, 0 or 255."""
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(path, compression="tiff_deflate")


def _read(path: Path) -> tuple[NDArray[Any], str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path) as image:
                depth = (
                    image.tag_v2.get(258)
                    if isinstance(image, TiffImagePlugin.TiffImageFile)
                    else None
                )
                mode = (
                    image.mode
                    if not depth or max(depth) <= 8
                    else f"{image.mode} of {max(depth)} bits"
                )
                return np.asarray(image), mode
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing.") from error
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, Warning) as error:
        raise DataError(
            f"{path} can't be read as an image ({error}): truncated or damaged?"
        ) from error


def _patient_folders(root: Path) -> list[Path]:
    for folder in (root, *sorted(p for p in root.iterdir() if p.is_dir())):
        found = [p for p in sorted(folder.iterdir()) if p.is_dir() and _is_patient(p)]
        if found:
            return found
    raise DataError(
        f"{root} holds no patient: expected folders such as TCGA_CS_4941_19960909 with"
        " TCGA_CS_4941_19960909_1.tif in them."
    )


def _is_patient(folder: Path) -> bool:
    return bool(_FOLDER.fullmatch(folder.name)) and any(
        _SLICE.search(p.name) for p in folder.iterdir()
    )


def _patient(folder: Path, attributes: dict[str, dict[str, str]], with_masks: bool) -> Patient:
    images: dict[int, Path] = {}
    masks: dict[int, Path] = {}
    for path in folder.iterdir():
        if match := _SLICE.search(path.name):
            (masks if match["mask"] else images)[int(match["number"])] = path
    if not images:
        raise DataError(f"{folder} has masks but no images.")
    if with_masks and (missing := sorted(images.keys() ^ masks.keys())):
        which = "no masks" if not masks else f"an image or a mask missing for slice {missing[0]}"
        raise DataError(
            f"{folder} has {which}. Every slice N needs ..._N.tif and ..._N_mask.tif"
            " for training and scoring."
        )
    name = _FOLDER.fullmatch(folder.name)
    assert name is not None
    order = sorted(images)
    try:
        patient, site = PatientId(name["id"]), SiteName(name["site"])
    except ValueError as error:
        raise DataError(f"The name of the folder {str(folder)!a}: {error}. Rename it.") from error
    return Patient(
        id=patient,
        site=site,
        folder=folder.name,
        images=tuple(images[n] for n in order),
        masks=tuple(masks[n] for n in order if n in masks) if with_masks else (),
        attributes=attributes.get(patient, {}),
    )

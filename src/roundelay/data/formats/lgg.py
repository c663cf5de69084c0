"""The layout of the public LGG set: one folder a patient, TIFF slices with masks beside them.

``TCGA_<institution>_<number>_<date>/<folder>_<slice>.tif`` (8 bits, three channels: pre-contrast,
FLAIR, post-contrast) and ``<folder>_<slice>_mask.tif`` (0 or 255); attributes in ``data.csv``.
Buda, Saha, Mazurowski, Computers in Biology and Medicine 109 (2019).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.listing import Listing, list_folder
from roundelay.data.formats.places import find_place, holds_predictions
from roundelay.data.formats.slices import (
    FOLDER,
    Slices,
    holds_slices,
    read_slices,
    refuse_unmasked,
    same_name,
)  # fmt: skip
from roundelay.data.formats.tiff import encode_mask, read_image, read_mask
from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.left_out import BAD, HIDDEN, ODD, PREDICTED, Found, counted, refuse
from roundelay.data.patients import Patient
from roundelay.data.tables import read_attributes
from roundelay.data.volumes import Volume
from roundelay.errors import DataError
from roundelay.study.names import PatientId, SiteName

EMPTY = "Patients' folders without a slice, left out"
UNFIT = "Folders with slices, named otherwise than <A>_<site>_<number>, left out"
OTHER = "Other folders, left out"
BESIDE = "Files beside the patients' folders, not read"
LATE = "Patients whose slices begin at a higher number than the first of the others"

_ABOUT = re.compile(r"(readme|license|licence|synthetic)\b.*", re.IGNORECASE)
"""Files that are for people."""

ATTRIBUTES = "data.csv"

FOLDER_EACH = True

Met = Iterator[tuple[str, str]]


def find_patients(
    root: Path, settings: ImageSettings = LGG_SETTINGS, *, masks: bool = True
) -> Found:
    """All patients by the names of folders and files, and what was left out; no image is opened.

    With `masks`, every slice must have one, and no patient two folders; without, they are given
    where all slices have one. `root` may also be the folder above. Raises DataError naming every
    folder in which it isn't plain what belongs to whom.
    """
    place = find_place(root)
    listing = list_folder(place)
    met = list(_around(root, place))
    found: list[Slices] = []
    sound: list[Slices] = []
    unused: set[str] = set()
    faults: list[str] = []
    for folder in listing.folders:
        try:
            if FOLDER.fullmatch(folder.name) and holds_slices(folder):
                found.append(slices := read_slices(folder))
                _names(slices)
                if masks:
                    refuse_unmasked(slices)
                sound.append(slices)
            else:
                met.append(_without_patient(folder))
                unused |= _called(folder)
        except DataError as error:
            faults.append(str(error))
            unused |= _called(folder)
    twice = list(_twice(found)) if masks else []
    if settings.on_bad_exam == "leave-out" and sound:
        met, faults = [*met, *((BAD, fault.rstrip(".")) for fault in faults)], []
    refuse([*faults, *twice])
    met += [
        one for slices in sound for one in (*slices.met, *slices.gaps(), *_unused(slices, masks))
    ]
    attributes = read_attributes(place / ATTRIBUTES)
    own = replace(LGG_SETTINGS, on_bad_exam=settings.on_bad_exam)
    patients = tuple(replace(_patient(slices, attributes, masks), settings=own) for slices in sound)
    return Found(patients, counted((*met, *_late(sound))), frozenset(unused))


def read_volume(patient: Patient) -> Volume:
    """All slices, and masks where there are any. Raises DataError naming every faulty file."""
    images: list[NDArray[np.uint8]] = []
    masks: list[NDArray[np.bool_]] = []
    faults: list[str] = []
    for number, path in enumerate(patient.images):
        try:
            images.append(_of_one_size(path, images))
            if patient.masks:
                masks.append(read_mask(patient.masks[number], images[-1].shape[:2]))
        except DataError as error:
            faults.append(str(error))
    refuse(faults)
    channels = np.moveaxis(np.stack(images), -1, 0)
    return Volume(channels, np.stack(masks)[None] if masks else None)


def _of_one_size(path: Path, before: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    image = read_image(path)
    if before and before[0].shape != image.shape:
        raise DataError(
            f"{path} is {image.shape[0]} x {image.shape[1]}, the slices before it are not."
        )
    return image


def mask_names(patient: Patient) -> list[str]:
    """The names of a patient's masks, slice by slice."""
    return [f"{path.stem}_mask{path.suffix}" for path in patient.images]


def mask_files(patient: Patient, volume: Volume, regions: NDArray[np.bool_]) -> dict[str, bytes]:
    """The tumour, bool ``[1, slice, row, column]``, as files by name."""
    return dict(zip(mask_names(patient), map(encode_mask, regions[0]), strict=True))


def _around(root: Path, place: Path) -> Met:
    """What stands beside the patients' folders, and beside the folder that holds them."""
    yield from _beside(list_folder(place), read=[ATTRIBUTES])
    if place != root:
        above = list_folder(root)
        yield from _beside(above, read=[])
        yield from ((OTHER, folder.name) for folder in above.folders if folder != place)


def _beside(listing: Listing, *, read: list[str]) -> Met:
    yield from ((HIDDEN, path.name) for path in listing.hidden)
    yield from ((ODD, path.name) for path in listing.odd)
    others = (path.name for path in listing.files if path.name not in read)
    yield from ((BESIDE, name) for name in others if not _ABOUT.fullmatch(name))


def _without_patient(folder: Path) -> tuple[str, str]:
    """Why a folder is left out. Raises DataError where its slices lie one level deeper."""
    if holds_predictions(folder):
        return PREDICTED, folder.name
    if not FOLDER.fullmatch(folder.name):
        return (UNFIT if holds_slices(folder) else OTHER), folder.name
    deeper = [inner for inner in list_folder(folder).folders if holds_slices(inner)]
    if deeper:
        raise DataError(
            f"The slices of {folder} lie one level deeper, in {deeper[0].name}. Images and masks of"
            " a patient stand side by side in the patient's folder."
        )
    return EMPTY, folder.name


def _twice(found: list[Slices]) -> Iterator[str]:
    """A sentence for each patient with two folders; names that differ in case alone are one."""
    before: dict[str, Path] = {}
    for slices in found:
        name, _ = _names(slices)
        first = before.setdefault(same_name(name), slices.folder)
        if first != slices.folder:
            yield (
                f"Patient {name} has two folders, {first.name} and {slices.folder.name}: they could"
                " come to stand in two splits. Keep one of them."
            )


def _unused(slices: Slices, masks: bool) -> Met:
    return iter(()) if masks else slices.unpaired()


def _late(found: list[Slices]) -> Met:
    first = min((slices.numbers[0] for slices in found), default=0)
    for slices in found:
        if slices.numbers[0] > first:
            yield LATE, f"{slices.folder.name}, at {slices.numbers[0]} and not {first}"


def _names(slices: Slices) -> tuple[PatientId, SiteName]:
    """The patient and the institution that a folder is named after. Raises DataError."""
    name = FOLDER.fullmatch(slices.folder.name)
    assert name is not None
    try:
        return PatientId(name["id"]), SiteName(name["site"])
    except ValueError as error:
        raise DataError(
            f"The name of the folder {str(slices.folder)!a}: {error}. Rename it."
        ) from error


def _called(folder: Path) -> set[str]:
    """What a table may call the patient of a folder; nothing of one that is no patient's."""
    name = FOLDER.fullmatch(folder.name)
    return {folder.name, name["id"]} if name else set()


def _patient(slices: Slices, attributes: dict[str, dict[str, str]], with_masks: bool) -> Patient:
    (patient, site), order = _names(slices), slices.numbers
    masked = with_masks or slices.images.keys() <= slices.masks.keys()
    return Patient(
        id=patient,
        site=site,
        folder=slices.folder.name,
        images=tuple(slices.images[n] for n in order),
        masks=tuple(slices.masks[n] for n in order) if masked else (),
        slices=len(order),
        attributes=attributes.get(patient, {}),
    )

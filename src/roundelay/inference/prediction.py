"""Masks and overlays of a folder of patients, by a finished model."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats import lgg
from roundelay.data.patients import Patient
from roundelay.data.volumes import read_images
from roundelay.errors import RunFolderError
from roundelay.files.places import refuse_place
from roundelay.inference.evaluation import OnPatient, nobody_watches, patients_in
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import predict
from roundelay.report.overlays import draw_sheet


def predict_folder(
    model: Path,
    data: Path,
    out: Path,
    *,
    format: str = "lgg",
    device: str = "auto",
    on_patient: OnPatient = nobody_watches,
) -> list[Path]:
    """Write a mask for every slice, in the input's layout, and an overlay sheet for every patient.

    Masks that are there are drawn on the sheets and used for nothing. Raises ModelError, DataError,
    RunFolderError where `out` isn't empty, UserError where `device` isn't there.
    """
    refuse_place(out, images=data)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(f"The folder {out} isn't empty. Choose another --out.")
    machine = find_machine("auto", device=device)
    network, settings, _ = read_model(model)
    network = machine.place(network)
    patients = patients_in(data, format, masks=False)
    sheets = []
    for number, patient in enumerate(patients, start=1):
        images = read_images(patient)
        marked = predict(network, images, settings, machine)
        folder = out / patient.folder
        folder.mkdir(parents=True)
        for path, mask in zip(patient.images, marked, strict=True):
            lgg.write_mask(folder / f"{path.stem}_mask{path.suffix}", mask)
        sheet = out / f"{patient.folder}.png"
        draw_sheet(sheet, patient.folder, images, marked, _reference(patient, images))
        sheets.append(sheet)
        on_patient(number, len(patients))
    return sheets


def _reference(patient: Patient, images: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    paths = [path.with_name(f"{path.stem}_mask{path.suffix}") for path in patient.images]
    if not all(path.exists() for path in paths):
        return None
    return np.stack([lgg.read_mask(path, images.shape[1:3]) for path in paths])

"""Masks and overlays of a folder of patients, by a finished model."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from roundelay.data.formats.known import FORMATS, read_volume
from roundelay.data.formats.nifti_exam import probability_files
from roundelay.data.left_out import shown
from roundelay.data.patients import Patient
from roundelay.data.volumes import Volume
from roundelay.errors import DiskFullError, UserError
from roundelay.files.folders import write_folder
from roundelay.files.installed import installed_version
from roundelay.files.places import refuse_place
from roundelay.files.writing import write_bytes
from roundelay.inference.output import predictions, refuse_foreign
from roundelay.inference.patients import (
    LookedAt,
    OnFound,
    OnPatient,
    asked_of,
    nobody_is_told,
    nobody_watches,
    read_folder,
)
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import find_model, read_model
from roundelay.learning.predict import marked_by, predict_probabilities
from roundelay.records.several import refuse_among_several
from roundelay.report.greys import grey_of, shown_channel
from roundelay.report.overlays import draw_sheet, png


def predict_folder(
    model: Path | str,
    data: Path | str,
    out: Path | str,
    *,
    format: str | None = None,
    site: Path | str | None = None,
    probabilities: bool = False,
    on_bad_exam: str = "refuse",
    device: str = "auto",
    on_found: OnFound = nobody_is_told,
    on_patient: OnPatient = nobody_watches,
) -> list[Path]:
    """Write masks in the input's layout and on its grid, and an overlay sheet for every patient.

    `format` is that of the model's own images where none is given; `site` a file that says what
    the folder's images have otherwise (`roundelay.study.data_section.SiteImages`). With
    `probabilities`, where images are volumes, those of each region too, as NIfTI. An exam that
    can't be used ends it, or is left out (`on_bad_exam` ``leave-out``) and said.

    Returns the sheets' paths. Every file of every patient is looked at before the first is written;
    `on_found` is told then what was left out. A patient's masks appear all at once. Given again
    after it was stopped, by the same model for the same patients, it goes on. Masks that are there
    are drawn on the sheets and used for nothing. Raises ModelError, DataError, RunFolderError where
    `out` holds anything else, UserError where `device` isn't there.
    """
    model, data, out = find_model(Path(model)), Path(data), Path(out)
    refuse_place(out, images=data)
    refuse_among_several(out)
    refuse_foreign(out)
    machine = find_machine("auto", device=device)
    network, settings, header = read_model(model)
    network = machine.place_to_infer(network)
    asked = asked_of(header, settings, format, site, on_bad_exam)
    if probabilities and asked.format == "lgg":
        raise UserError(
            "Slices of the layout lgg have no place for probabilities. Leave --probabilities out."
        )
    found = read_folder(data, asked, masks=False)
    made_by = {
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
        "roundelay": installed_version(),
        "torch": torch.__version__,
        "machine": machine.as_json(),
        **({"probabilities": True} if probabilities else {}),
    }
    total, sheets = len(found.patients), list[Path]()
    with predictions(out, found.patients, made_by) as finished:
        on_found(LookedAt(total, found.left_out, len(finished)))
        for number, patient in enumerate(found.patients, start=1):
            sheets.append(out / _sheet_name(patient))
            if patient.folder not in finished:
                volume = read_volume(patient)
                likely = predict_probabilities(network, volume, settings, machine)
                files = probability_files(patient, volume, likely) if probabilities else {}
                _write(out, patient, volume, marked_by(likely, settings), files)
            on_patient(number, total)
    return sheets


def _sheet_name(patient: Patient) -> str:
    """A sheet is called as the exam's folder of masks or, where they are one file, as that is."""
    layout = FORMATS[patient.format]
    if layout.FOLDER_EACH:
        return f"{patient.folder}.png"
    (mask,) = layout.mask_names(patient)
    return f"{Path(mask.removesuffix('.gz')).stem}.png"


def _write(
    out: Path,
    patient: Patient,
    volume: Volume,
    marked: NDArray[np.bool_],
    beside: Mapping[str, bytes],
) -> None:
    """The sheet and what stands `beside` the masks, then these: where they stand, the patient is
    finished."""
    channel = shown_channel(patient.settings.channels)
    title = shown(f"{patient.folder}, {patient.settings.channels[channel]}")
    names = patient.settings.region_names
    sheet = draw_sheet(title, grey_of(volume, channel), marked, volume.regions, names=names)
    layout = FORMATS[patient.format]
    files = layout.mask_files(patient, volume, marked)
    try:
        write_bytes(out / _sheet_name(patient), png(sheet))
        for name, data in beside.items():
            write_bytes(out / name, data)
        if layout.FOLDER_EACH:
            write_folder(out / patient.folder, files)
        for name, data in () if layout.FOLDER_EACH else files.items():
            write_bytes(out / name, data)
    except DiskFullError as error:
        raise DiskFullError(
            f"The disk is full: the masks of {patient.folder} were not written to {out}. Those of"
            " other patients are kept. Make room, and give the same command again: it goes on."
        ) from error

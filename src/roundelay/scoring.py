"""Use a finished model on a folder of patients: scores, masks, overlays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from roundelay.cohort import lgg
from roundelay.errors import RunFolderError
from roundelay.evaluation.scores import PatientScore, score_patient
from roundelay.evaluation.summary import summarize
from roundelay.learning.model_file import read_model
from roundelay.learning.precision import find_machine
from roundelay.learning.predict import predict
from roundelay.learning.slices import read_images, read_masks

PREDICTION, REFERENCE = (255, 176, 0), (100, 143, 255)
"""Orange and blue: told apart by colour-blind eyes, and unlike any grey."""
COLUMNS = 6
FLAIR = 1

OnPatient = Callable[[int, int], None]


def _ignore(_done: int, _total: int) -> None:
    """Nobody watches."""


def evaluate_model(
    model: Path, data: Path, *, format: str = "lgg", seed: int = 0, on_patient: OnPatient = _ignore
) -> dict[str, Any]:
    """Score a model on all patients of a folder: ``summary`` and ``patients``, as plain values.

    `seed` draws the bootstrap intervals. Raises ModelError or DataError.
    """
    network, reading, header = read_model(model)
    machine = find_machine("auto")
    network = machine.place(network)
    patients = _patients(data, format, masks=True)
    scores: list[PatientScore] = []
    for number, patient in enumerate(patients, start=1):
        images = read_images(patient)
        reference = read_masks(patient, images.shape[1:3])
        marked = predict(network, images, reading, machine)
        scores.append(score_patient(patient.id, patient.site, "outside", marked, reference))
        on_patient(number, len(patients))
    return {
        "model": header,
        "summary": summarize(scores, seed=seed).as_json(),
        "patients": [score.as_json() for score in scores],
    }


def predict_folder(
    model: Path, data: Path, out: Path, *, format: str = "lgg", on_patient: OnPatient = _ignore
) -> list[Path]:
    """Write a mask for every slice, in the input's layout, and an overlay sheet for every patient.

    Masks that are there are drawn on the sheets and used for nothing. Raises ModelError, DataError,
    RunFolderError where `out` isn't empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(f"The folder {out} isn't empty. Choose another --out.")
    network, reading, _ = read_model(model)
    machine = find_machine("auto")
    network = machine.place(network)
    patients = _patients(data, format, masks=False)
    sheets = []
    for number, patient in enumerate(patients, start=1):
        images = read_images(patient)
        marked = predict(network, images, reading, machine)
        folder = out / patient.folder
        folder.mkdir(parents=True)
        for path, mask in zip(patient.images, marked, strict=True):
            lgg.write_mask(folder / f"{path.stem}_mask{path.suffix}", mask)
        sheet = out / f"{patient.folder}.png"
        draw_sheet(sheet, patient.folder, images, marked, _reference(patient, images))
        sheets.append(sheet)
        on_patient(number, len(patients))
    return sheets


def draw_sheet(
    path: Path,
    title: str,
    images: NDArray[np.uint8],
    marked: NDArray[np.bool_],
    reference: NDArray[np.bool_] | None,
) -> None:
    """All slices of a patient, FLAIR, with the contours of prediction and (if any) reference."""
    height, width = images.shape[1:3]
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, 24 + rows * height))
    pen = ImageDraw.Draw(sheet)
    pen.text((6, 6), title, fill="white")
    pen.text((COLUMNS * width - 220, 6), "prediction", fill=PREDICTION)
    if reference is not None:
        pen.text((COLUMNS * width - 120, 6), "reference", fill=REFERENCE)
    for i, image in enumerate(images):
        tile = np.repeat(image[..., FLAIR : FLAIR + 1], 3, axis=-1)
        if reference is not None:
            tile[contour(reference[i])] = REFERENCE
        tile[contour(marked[i])] = PREDICTION
        corner = (i % COLUMNS) * width, 24 + (i // COLUMNS) * height
        sheet.paste(Image.fromarray(tile), corner)
        pen.text((corner[0] + 6, corner[1] + 4), str(i + 1), fill=(160, 160, 160))
    sheet.save(path)


def contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of a mask: those with a neighbour (of four) outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _patients(data: Path, format: str, *, masks: bool) -> tuple[Any, ...]:
    if format != "lgg":
        raise RunFolderError(f"--format {format} is unknown; it is lgg.")
    return lgg.find_patients(data, masks=masks)


def _reference(patient: Any, images: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    paths = [path.with_name(f"{path.stem}_mask{path.suffix}") for path in patient.images]
    if not all(path.exists() for path in paths):
        return None
    return np.stack([lgg.read_mask(path, images.shape[1:3]) for path in paths])

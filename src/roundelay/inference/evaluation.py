"""Score a finished model on a folder of patients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from roundelay.data.formats import lgg
from roundelay.data.volumes import read_images, read_masks
from roundelay.errors import RunFolderError
from roundelay.evaluation.scores import PatientScore, score_patient
from roundelay.evaluation.summary import summarize
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import predict

OnPatient = Callable[[int, int], None]


def nobody_watches(_done: int, _total: int) -> None:
    """Nobody watches."""


def evaluate_model(
    model: Path,
    data: Path,
    *,
    format: str = "lgg",
    seed: int = 0,
    device: str = "auto",
    on_patient: OnPatient = nobody_watches,
) -> dict[str, Any]:
    """Score a model on all patients of a folder: ``summary`` and ``patients``, as plain values.

    `seed` draws the bootstrap intervals. Raises ModelError, DataError, or UserError where `device`
    isn't there.
    """
    machine = find_machine("auto", device=device)
    network, settings, header = read_model(model)
    network = machine.place(network)
    patients = patients_in(data, format, masks=True)
    scores: list[PatientScore] = []
    for number, patient in enumerate(patients, start=1):
        images = read_images(patient)
        reference = read_masks(patient, images.shape[1:3])
        marked = predict(network, images, settings, machine)
        scores.append(score_patient(patient.id, patient.site, "outside", marked, reference))
        on_patient(number, len(patients))
    return {
        "model": header,
        "summary": summarize(scores, seed=seed).as_json(),
        "patients": [score.as_json() for score in scores],
    }


def patients_in(data: Path, format: str, *, masks: bool) -> tuple[Any, ...]:
    if format != "lgg":
        raise RunFolderError(f"--format {format} is unknown; it is lgg.")
    return lgg.find_patients(data, masks=masks)

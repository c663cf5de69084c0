"""Score a finished model on a folder of patients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.data.formats import lgg
from roundelay.data.patients import Patient
from roundelay.data.volumes import read_images, read_masks
from roundelay.errors import RunFolderError
from roundelay.evaluation.scores import PatientScore, score_patient
from roundelay.evaluation.summary import Summary, summarize
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import predict

OnPatient = Callable[[int, int], None]


def nobody_watches(_done: int, _total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A model's scores on a folder of patients; `model` is the header of its file."""

    model: Mapping[str, Any]
    summary: Summary
    scores: tuple[PatientScore, ...]

    @property
    def synthetic(self) -> bool:
        """Whether the model was trained on synthetic patients."""
        return bool(self.model["synthetic"])

    def as_json(self) -> dict[str, Any]:
        """What ``roundelay evaluate --json`` prints."""
        return {
            "model": dict(self.model),
            "summary": self.summary.as_json(),
            "patients": [score.as_json() for score in self.scores],
        }


def evaluate_model(
    model: Path,
    data: Path,
    *,
    format: str = "lgg",
    seed: int = 0,
    device: str = "auto",
    on_patient: OnPatient = nobody_watches,
) -> EvaluationResult:
    """Score a model on all patients of a folder.

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
    return EvaluationResult(header, summarize(scores, seed=seed), tuple(scores))


def patients_in(data: Path, format: str, *, masks: bool) -> tuple[Patient, ...]:
    """The patients of a folder in one of the known layouts. Raises DataError."""
    if format != "lgg":
        raise RunFolderError(f"--format {format} is unknown; it is lgg.")
    return lgg.find_patients(data, masks=masks)

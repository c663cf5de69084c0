"""Score a finished model on a folder of patients."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from roundelay.data.formats.known import read_volume
from roundelay.data.left_out import LeftOut
from roundelay.data.missing import told_of_missing
from roundelay.data.split import refuse_leak
from roundelay.evaluation.fairness import sequences_of
from roundelay.evaluation.scores import PatientScore, score_regions
from roundelay.evaluation.summary import Summary, summarize
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
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import predict


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """A model's scores on a folder of patients; `model` is the header of its file, `left_out` says
    what was left out of the folder, or noticed there."""

    model: Mapping[str, Any]
    summary: Summary
    scores: tuple[PatientScore, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether the model was trained on synthetic patients."""
        return bool(self.model["synthetic"])

    @property
    def by_sequences(self) -> dict[str, tuple[int, float]]:
        """Patients and mean Dice by the sequences that exams lack; empty where none lacks any."""
        found: dict[str, list[float]] = {}
        for score in self.scores:
            found.setdefault(sequences_of(score), []).append(score.dice)
        if len(found) == 1 and not any(score.attributes for score in self.scores):
            return {}
        return {name: (len(own), fmean(own)) for name, own in sorted(found.items())}

    def as_json(self) -> dict[str, Any]:
        """What ``roundelay evaluate --json`` prints."""
        return {
            "model": dict(self.model),
            "left_out": [one.as_json() for one in self.left_out],
            "summary": self.summary.as_json(),
            "patients": [score.as_json() for score in self.scores],
        }


def evaluate_model(
    model: Path | str,
    data: Path | str,
    *,
    format: str | None = None,
    site: Path | str | None = None,
    seed: int = 0,
    on_bad_exam: str = "refuse",
    device: str = "auto",
    on_found: OnFound = nobody_is_told,
    on_patient: OnPatient = nobody_watches,
) -> EvaluationResult:
    """Score a model on all patients of a folder.

    Every file of every patient is looked at before the first is scored; `on_found` is told then
    what was left out. `format`, `site` and `on_bad_exam` are as in `predict_folder`. `seed` draws
    the bootstrap intervals. Raises ModelError, DataError, StudyError, or UserError where `device`
    isn't there.
    """
    machine = find_machine("auto", device=device)
    network, settings, header = read_model(Path(model))
    network = machine.place_to_infer(network)
    asked = asked_of(header, settings, format, site, on_bad_exam)
    found = read_folder(Path(data), asked, masks=True)
    refuse_leak(found.patients)
    on_found(LookedAt(len(found.patients), found.left_out))
    scores: list[PatientScore] = []
    for number, patient in enumerate(found.patients, start=1):
        volume = read_volume(patient)
        marked = predict(network, volume, settings, machine)
        names = patient.settings.region_names
        score = score_regions(
            patient.id, patient.site, "outside", marked, volume.reference, names, volume.spacing
        )
        scores.append(replace(score, attributes=told_of_missing(patient, volume)))
        on_patient(number, len(found.patients))
    return EvaluationResult(header, summarize(scores, seed=seed), tuple(scores), found.left_out)

"""thresholds.json: the validation patients who chose a model's thresholds, and what they chose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from roundelay.errors import LedgerError
from roundelay.evaluation.thresholds import CANDIDATES, PatientDices, chosen_thresholds
from roundelay.files.reading import read_json
from roundelay.files.writing import write_json

THRESHOLDS = "thresholds.json"


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The thresholds that were `chosen`, by region, and the validation patients who chose them."""

    chosen: Mapping[str, float]
    patients: tuple[PatientDices, ...]

    @property
    def by_region(self) -> tuple[float, ...]:
        return tuple(self.chosen.values())


def write_thresholds(place: Path, patients: Sequence[PatientDices]) -> ThresholdChoice:
    """Choose the thresholds of an arm's model and write thresholds.json."""
    choice = ThresholdChoice(chosen_thresholds(patients), tuple(patients))
    values = {"candidates": list(CANDIDATES), "chosen": dict(choice.chosen)}
    write_json(place / THRESHOLDS, {**values, "patients": [one.as_json() for one in patients]})
    return choice


def read_thresholds(place: Path) -> ThresholdChoice | None:
    """What chose an arm's thresholds; None where the study gives one. Raises LedgerError."""
    path = place / THRESHOLDS
    if not path.exists():
        return None
    found: ThresholdChoice = read_json(path, TypeAdapter(_Chosen), LedgerError, _choice)
    return found


def _choice(values: Any) -> ThresholdChoice:
    if values["candidates"] != list(CANDIDATES):
        raise ValueError("it has other candidates than this version")
    patients = tuple(map(PatientDices.from_json, values["patients"]))
    return ThresholdChoice(values["chosen"], patients)


class _Chosen(BaseModel):
    candidates: list[float]
    chosen: dict[str, float]
    patients: list[PatientDices]

"""An arm's files in a run folder: written at its end, read back."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from roundelay.data.tables import write_table
from roundelay.errors import LedgerError
from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.scores import PatientScore
from roundelay.files.writing import write_json, write_text
from roundelay.plan.itinerary import Leg, as_json, legs_from_json
from roundelay.records.layout import MODEL, SCORES, SEALED_MODEL
from roundelay.relay.receipt import Receipt

VALIDATIONS = "validation.json"


def write_curve(place: Path, receipts: Sequence[Receipt]) -> None:
    """curve.csv: a row a visit."""
    rows = [
        [r.stop + 1, r.round, r.site, r.task, r.steps, r.slice_visits, r.loss, r.seconds]
        for r in receipts
    ]
    columns = ["stop", "round", "site", "task", "steps", "slice_visits", "loss", "seconds"]
    write_text(place / "curve.csv", write_table(columns, rows))


def write_scores(place: Path, scores: Sequence[PatientScore], *, chosen_leg: int) -> None:
    """The last file of an arm: where it stands, the arm is done."""
    write_json(place / SCORES, {"chosen_leg": chosen_leg, "scores": [s.as_json() for s in scores]})


def model_digest(place: Path) -> str:
    """SHA-256 of a finished arm's model, sealed or open."""
    sealed = place / SEALED_MODEL
    path = sealed if sealed.exists() else place / MODEL
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_legs(place: Path) -> tuple[Leg, ...]:
    """The planned itinerary of an arm. Raises LedgerError where its file can't be read."""
    path = place / "itinerary.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        legs = legs_from_json(values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{path} can't be read ({error}).") from error
    if json.loads(json.dumps(as_json(legs))) != values:
        raise LedgerError(f"{path} holds what no itinerary holds: it was changed.")
    return legs


def read_validations(place: Path) -> list[Validation]:
    """The matrix as far as it has come; empty where the study follows nothing."""
    path = place / VALIDATIONS
    if not path.exists():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Validation(**{**row, "visited": tuple(row["visited"])}) for row in rows]

"""An arm's files in a run folder: written at its end, read back."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roundelay.errors import LedgerError
from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.scores import PatientScore
from roundelay.files.writing import write_json, write_text
from roundelay.plan.itinerary import Leg, as_json, legs_from_json
from roundelay.records.layout import MODEL, SCORES, SEALED_MODEL
from roundelay.relay.receipt import Receipt

VALIDATIONS, CURVE = "validation.json", "curve.csv"


def write_curve(place: Path, receipts: Sequence[Receipt]) -> None:
    """Write curve.csv."""
    write_text(place / CURVE, curve_text(receipts))


def curve_text(receipts: Sequence[Receipt]) -> str:
    """What curve.csv holds: a row a visit."""
    rows = [
        [r.stop + 1, r.round, r.site, r.task, r.steps, r.slice_visits, r.loss, r.seconds]
        for r in receipts
    ]
    columns = ["stop", "round", "site", "task", "steps", "slice_visits", "loss", "seconds"]
    return table(columns, rows)


def write_scores(place: Path, scores: Sequence[PatientScore], *, chosen_leg: int) -> None:
    """The last file of an arm; its ledger is closed after it."""
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


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def read_validations(place: Path) -> list[Validation]:
    """The matrix as far as it has come; empty where the study follows nothing."""
    path = place / VALIDATIONS
    if not path.exists():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Validation(**{**row, "visited": tuple(row["visited"])}) for row in rows]

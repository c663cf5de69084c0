"""An arm's files in a run folder: written at its end, read back."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from roundelay.data.tables import write_table
from roundelay.errors import LedgerError
from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.scores import PatientScore
from roundelay.files.mishap import why
from roundelay.files.reading import read_json
from roundelay.files.regular import refuse_special
from roundelay.files.writing import write_json, write_text
from roundelay.plan.itinerary import Leg, Stop, as_json, legs_from_json
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
    return write_table(columns, rows)


def write_scores(place: Path, scores: Sequence[PatientScore], *, chosen_leg: int) -> None:
    """The last file of an arm; its ledger is closed after it."""
    write_json(place / SCORES, {"chosen_leg": chosen_leg, "scores": [s.as_json() for s in scores]})


def model_digest(place: Path) -> str:
    """SHA-256 of a finished arm's model, sealed or open. Raises LedgerError without one."""
    sealed = place / SEALED_MODEL
    path = sealed if sealed.exists() else place / MODEL
    try:
        refuse_special(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LedgerError(f"{path} can't be read: {why(error)}.") from error


class _Leg(BaseModel):
    index: int
    stops: list[Stop]


class _Scored(BaseModel):
    chosen_leg: int
    scores: list[PatientScore]


def read_scored(place: Path) -> tuple[int, tuple[PatientScore, ...]] | None:
    """The hand-over whose model was taken, and every score; None of an arm that isn't done.

    Raises LedgerError where the file is damaged.
    """
    path = place / SCORES
    if not path.exists():
        return None
    found: tuple[int, tuple[PatientScore, ...]] = read_json(
        path,
        TypeAdapter(_Scored),
        LedgerError,
        lambda values: (values["chosen_leg"], tuple(map(PatientScore.from_json, values["scores"]))),
    )
    return found


def read_legs(place: Path) -> tuple[Leg, ...]:
    """The planned itinerary of an arm. Raises LedgerError where its file can't be read."""
    path = place / "itinerary.json"
    found: tuple[Leg, ...] = read_json(path, TypeAdapter(list[_Leg]), LedgerError, _legs)
    return found


def _legs(values: Any) -> tuple[Leg, ...]:
    legs = legs_from_json(values)
    if not legs or json.loads(json.dumps(as_json(legs))) != values:
        raise ValueError("it holds what no itinerary holds")
    return legs


def read_validations(place: Path) -> list[Validation]:
    """The matrix as far as it has come; empty where the study follows nothing."""
    path = place / VALIDATIONS
    if not path.exists():
        return []
    found: list[Validation] = read_json(
        path,
        TypeAdapter(list[Validation]),
        LedgerError,
        lambda rows: [Validation(**{**row, "visited": tuple(row["visited"])}) for row in rows],
    )
    return found

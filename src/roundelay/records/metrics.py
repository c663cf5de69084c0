"""``metrics.jsonl``: a line of JSON a visit and a validation, for who follows a run by machine.

It says what the ledgers and ``validation.json`` say, with the time of day: a line that a kill kept
out is written when the run goes on. Nothing is proven by it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roundelay.evaluation.forgetting import Validation
from roundelay.files.lines import append_line, whole_lines
from roundelay.records.layout import METRICS
from roundelay.relay.receipt import Receipt

Key = tuple[str, str, int]
"""Kind, arm, and the number of the visit or the hand-over."""


class Metrics:
    """The lines of a run; one that stands there is not written twice."""

    def __init__(self, out: Path) -> None:
        self._path = out / METRICS
        self._known = {key for line in whole_lines(self._path) if (key := _key(line))}

    def visit(self, arm: str, receipt: Receipt) -> None:
        """A visit that stands in the ledger."""
        speed = receipt.slice_visits / receipt.seconds if receipt.seconds else None
        self._add(
            {
                "kind": "visit",
                "arm": arm,
                "number": receipt.stop,
                "round": receipt.round,
                "site": receipt.site,
                "task": receipt.task,
                "steps": receipt.steps,
                "slice_visits": receipt.slice_visits,
                "loss": receipt.loss,
                "seconds": receipt.seconds,
                "slices_per_second": speed and round(speed, 2),
                "bytes": receipt.returned_bytes,
            }
        )

    def validation(self, arm: str, found: Validation) -> None:
        """Validation patients' scores of the model after a hand-over, mean by site."""
        self._add(
            {
                "kind": "validation",
                "arm": arm,
                "number": found.leg,
                "round": found.round,
                "dice": dict(found.dice),
                "dice_mean": sum(found.dice.values()) / len(found.dice) if found.dice else None,
            }
        )

    def _add(self, row: Mapping[str, Any]) -> None:
        key = (str(row["kind"]), str(row["arm"]), int(row["number"]))
        if key not in self._known:
            stamped = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **row}
            append_line(self._path, json.dumps(stamped, allow_nan=False, ensure_ascii=False))
            self._known.add(key)


def _key(line: str) -> Key | None:
    """What a line is about; None of one that isn't ours."""
    try:
        row = json.loads(line)
        return str(row["kind"]), str(row["arm"]), int(row["number"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None

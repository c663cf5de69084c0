"""summary.json and patients.csv against what the arms came to, computed again from their scores."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from math import isclose
from pathlib import Path
from typing import Any

from roundelay.data.tables import write_table
from roundelay.errors import LedgerError
from roundelay.evaluation.judgement import Judgement
from roundelay.files.installed import installed_version
from roundelay.files.reading import parse_json
from roundelay.records.claims import CantBeChecked
from roundelay.records.contents import read_run
from roundelay.records.evidence import RunEvidence, needed
from roundelay.records.layout import PATIENTS, SUMMARY
from roundelay.records.result import RunResult, result_of
from roundelay.records.resuming import SOFTWARE

DRAWN = ("p", "p_holm", "sentence", "beyond_noise", "no_verdict", "small")
"""Of summary.json, what rests on drawn intervals, as all does below a key that ends so."""


@dataclass(frozen=True)
class ComputedAgain:
    """What the arms' scores, ledgers and models come to, computed once for all claims on it."""

    run: RunEvidence

    @cached_property
    def result(self) -> RunResult:
        """Raises CantBeChecked where the run isn't finished, or an arm can't be read."""
        if not self.run.finished:
            raise CantBeChecked("the run isn't finished")
        return needed(self._read, "what the arms came to")

    def _read(self) -> RunResult:
        found = read_run(self.run.out, verified=False)
        if found.problems:
            raise LedgerError(found.problems[0])
        return result_of(found)


def check_summary(again: ComputedAgain) -> None:
    """summary.json is what scores, ledgers and models come to, computed again."""
    run, result = again.run, again.result
    path = run.out / SUMMARY
    differ = differences_in_summary(
        path, result.as_json(), result.judgement, pairs=run.judges_pairs
    )
    if not differ:
        return
    if run.older and not any(where[:1] == ("arms",) for where in differ):
        raise CantBeChecked("an older version judged otherwise")
    drawn = all(w[-1] in DRAWN or any(k.endswith("interval") for k in w) for w in differ)
    if drawn and (other := _other_software(run)):
        raise CantBeChecked(f"intervals come out otherwise under {other}")
    raise LedgerError(f"{path} says otherwise at {'.'.join(differ[0])} than what the scores and"
                      " ledgers come to.")  # fmt: skip


def differences_in_summary(
    path: Path, wanted: Mapping[str, Any], judgement: Judgement, *, pairs: bool
) -> list[tuple[str, ...]]:
    """Where a summary.json differs from what is `wanted` of it, `judgement` in it.

    Unless its version judged seeds as `pairs`: nowhere, where it says what earlier ones made of the
    same scores.
    """
    found = parse_json(path.read_bytes())
    differ = list(differences(found, json.loads(json.dumps(wanted))))
    if pairs or not differ:
        return differ
    earlier = {**wanted, "comparisons": judgement.before_pairs().as_json()["comparisons"]}
    if not any(differences(found, json.loads(json.dumps(earlier)))):
        return []
    return differ


def _other_software(run: RunEvidence) -> str:
    here = {
        "roundelay": installed_version(),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
    }
    return ", ".join(
        f"{SOFTWARE[key]} {now} (it was {run.record.get(key)})"
        for key, now in here.items()
        if run.record.get(key) != now
    )


def differences(found: Any, wanted: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where two JSON values differ, by more than the last digits of a number."""
    ours, theirs = _parts(found), _parts(wanted)
    if ours is not None and theirs is not None and type(found) is type(wanted):
        for key in {**ours, **theirs}:
            if key in ours and key in theirs:
                yield from differences(ours[key], theirs[key], (*where, key))
            else:
                yield (*where, key)
    elif not _equal(found, wanted) and not (where[-1:] == ("sentence",) and _signs(found, wanted)):
        yield where


def _parts(value: Any) -> dict[str, Any] | None:
    if isinstance(value, list):
        return {str(number): one for number, one in enumerate(value)}
    return value if isinstance(value, dict) else None


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12)
    return type(found) is type(wanted) and bool(found == wanted)


def _signs(found: Any, wanted: Any) -> bool:
    """Whether two sentences differ by a sign before 0.000 alone, which an earlier build wrote."""
    bare = [re.sub(r"[+-](?=0\.0+\b)", "", str(one)) for one in (found, wanted)]
    return bare[0] == bare[1]


def check_patients_file(again: ComputedAgain) -> None:
    """patients.csv has the rows that the arms' scores give."""
    run, wanted = again.run, write_table(*again.result.rows())
    path = run.out / PATIENTS
    with path.open(encoding="utf-8", newline="") as file:
        found = file.read()
    if found == wanted:
        return
    ours, theirs = _rows(wanted), _rows(found)
    shared = set(ours[0]) & set(theirs[0]) if ours and theirs else set()
    same = len(ours) == len(theirs) and all(
        a[key] == b[key] for a, b in zip(ours, theirs, strict=True) for key in shared
    )
    if run.older and same:
        raise CantBeChecked("an older version wrote other columns")
    raise LedgerError(f"{path} does not hold the rows that the arms' scores give.")


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))

"""The run folder: what a run leaves behind, and how it is found again."""

import csv
import fcntl
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roundelay.arms import Arm
from roundelay.atomic import digest_of, write_json, write_text
from roundelay.errors import LedgerError, RunFolderError
from roundelay.evaluation.scores import PatientScore
from roundelay.itinerary import Leg, as_json, legs_from_json
from roundelay.itinerary import digest as itinerary_digest
from roundelay.ledger import Receipt, read_ledger
from roundelay.study import Study
from roundelay.study_file import read_study, to_toml
from roundelay.verifying import verify

RECORD, STUDY, SUMMARY, SCORES = "run.json", "study.toml", "summary.json", "scores.json"
MODEL, SEALED_MODEL = "model.safetensors", "model.sealed"
SAME = ("study", "cohort", "threads", "network")
"""What a resumed run must have in common with its beginning, to give the same bytes."""


def open_run(study: Study, out: Path, *, resume: bool) -> dict[str, Any] | None:
    """What the folder records of a run to go on with, or None for a new run; writes nothing.

    Raises RunFolderError where `out` holds something else, or a run of another study.
    """
    begun = (out / RECORD).exists()
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file. Choose a folder for the run.")
    if not resume or not begun:
        if out.exists() and not all(_left_by_a_beginning(p, study) for p in out.iterdir()):
            hint = " Go on with it by --resume, or choose" if begun else " Choose"
            raise RunFolderError(f"The folder {out} isn't empty.{hint} another --out.")
        return None
    record = read_record(out)
    if record["study"] != study.digest:
        raise RunFolderError(
            f"{out} was begun with another study ({_differences(study, out)}).\n"
            f"Resume it with its own study ({out / STUDY}), or choose another --out."
        )
    return record


def _left_by_a_beginning(path: Path, study: Study) -> bool:
    """Whether a beginning of this study that was cut off, before its record stood, left `path`."""
    if path.name == STUDY:
        return path.read_text(encoding="utf-8").startswith(_heading(study))
    return path.name == ".lock" or path.name.endswith(".tmp")


def _heading(study: Study) -> str:
    return f"# digest {study.digest}\n"


def read_record(out: Path) -> dict[str, Any]:
    """run.json. Raises RunFolderError where there is none."""
    try:
        record: dict[str, Any] = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{out} is not a run of Roundelay: {RECORD} can't be read.") from error
    return record


def begin_run(
    study: Study, out: Path, record: Mapping[str, Any] | None, facts: Mapping[str, Any]
) -> None:
    """Write study and record of a new run; check those of a resumed one."""
    if record is not None:
        for key in SAME:
            then, now = record.get(key), facts.get(key)
            if then != now:
                raise RunFolderError(
                    f"The {key} of {out} changed since the run began"
                    f" ({_short(then)} then, {_short(now)} now): it can't be resumed"
                    " to the same bytes. Restore it, or choose another --out."
                )
        return
    write_text(out / STUDY, f"{_heading(study)}\n{to_toml(study)}")
    write_json(out / RECORD, facts)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep a second coordinator out of the folder. Raises RunFolderError where one is at work."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunFolderError(
                f"Another process is running in {out}. Wait for it to end."
            ) from error
        yield


def begin_arm(out: Path, arm: Arm) -> Path:
    """The arm's folder, with its itinerary written before training begins."""
    place = out / "arms" / arm.label
    if not (place / "itinerary.json").exists():
        write_json(place / "itinerary.json", as_json(arm.legs))
    return place


def write_curve(place: Path, receipts: Sequence[Receipt]) -> None:
    """curve.csv: a row a visit."""
    rows = [
        [r.stop + 1, r.round, r.site, r.task, r.steps, r.slice_visits, r.loss, r.seconds]
        for r in receipts
    ]
    columns = ["stop", "round", "site", "task", "steps", "slice_visits", "loss", "seconds"]
    write_text(place / "curve.csv", _table(columns, rows))


def write_scores(place: Path, scores: Sequence[PatientScore], *, chosen_leg: int) -> None:
    """The last file of an arm: where it stands, the arm is done."""
    write_json(place / SCORES, {"chosen_leg": chosen_leg, "scores": [s.as_json() for s in scores]})


def read_arm(place: Path) -> dict[str, Any]:
    """A finished arm: receipts, head of its ledger, digest of its model, chosen leg, scores."""
    lines = read_ledger(place / "ledger.jsonl")
    done = json.loads((place / SCORES).read_text(encoding="utf-8"))
    return {
        "receipts": [Receipt(**r) for line in lines[1:] for r in line["receipts"]],
        "head": lines[-1]["digest"],
        "model": _model_digest(place),
        "chosen_leg": done["chosen_leg"],
        "scores": [PatientScore(**score) for score in done["scores"]],
    }


def _model_digest(place: Path) -> str:
    sealed = place / SEALED_MODEL
    path = sealed if sealed.exists() else place / MODEL
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_legs(place: Path) -> tuple[Leg, ...]:
    """The planned way of an arm. Raises LedgerError where its file can't be read."""
    path = place / "itinerary.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        legs = legs_from_json(values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{path} can't be read ({error}).") from error
    if json.loads(json.dumps(as_json(legs))) != values:
        raise LedgerError(f"{path} holds what no itinerary holds: it was changed.")
    return legs


def verify_arm(out: Path, label: str) -> str:
    """Check an arm's ledger, plan, batons, end and summary; return the ledger's head.

    Raises LedgerError naming what does not fit.
    """
    place = out / "arms" / label
    legs = read_legs(place)
    lines = verify(place, legs=legs, itinerary=itinerary_digest(legs))
    if (place / SCORES).exists() and len(lines) - 1 < len(legs):
        raise LedgerError(
            f"{place / 'ledger.jsonl'} ends after {len(lines) - 1} of {len(legs)} legs, but the arm"
            " is finished: lines were cut."
        )
    head = str(lines[-1]["digest"])
    if (out / SUMMARY).exists():
        rows = json.loads((out / SUMMARY).read_text(encoding="utf-8"))["arms"]
        model = _model_digest(place)
        for row in rows:
            if row["label"] == label and (row["head"], row["model"]) != (head, model):
                raise LedgerError(f"{out / SUMMARY} notes another head or model for {label}.")
    return head


def write_patients(out: Path, arms: Sequence[Arm]) -> None:
    """patients.csv: a row a patient, arm and seed; attributes in columns of their own."""
    rows: list[list[Any]] = []
    known: dict[str, None] = {}
    for arm in arms:
        for score in read_arm(out / "arms" / arm.label)["scores"]:
            values = score.as_json()
            attributes = values.pop("attributes")
            known.update(dict.fromkeys(attributes))
            own = [arm.name, arm.seed, arm.order or "", arm.site or ""]
            rows.append([*own, *values.values(), attributes])
    rows = [[*row[:-1], *(row[-1].get(name, "") for name in known)] for row in rows]
    scores = [name for name in PatientScore.__slots__ if name != "attributes"]
    columns = ["arm", "seed", "order", "model_site", *scores, *known]
    write_text(out / "patients.csv", _table(columns, rows))


def check_summary(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise LedgerError where a finished run's summary notes other ledgers or models."""
    path = out / SUMMARY
    if not path.exists():
        return
    noted = json.loads(path.read_text(encoding="utf-8"))["arms"]
    for before, now in zip(noted, rows, strict=True):
        for key in ("head", "model"):
            if before[key] != now[key]:
                raise LedgerError(
                    f"{path} notes another {key} for {now['label']}:"
                    f" {before[key][:12]}, not {now[key][:12]}. Something was changed since."
                )


def write_summary(out: Path, summary: Mapping[str, Any]) -> None:
    """summary.json: the last file of a run."""
    write_json(out / SUMMARY, summary)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _differences(study: Study, out: Path) -> str:
    now, then = study.model_dump(mode="json"), read_study(out / STUDY).model_dump(mode="json")
    found = [
        f"{key}.{name}" if isinstance(value, dict) else key
        for key, value in now.items()
        if key != "courier"
        for name in (value if isinstance(value, dict) else [key])
        if (value[name] != then[key][name] if isinstance(value, dict) else value != then[key])
        and (key, name) != ("data", "root")
    ]
    return "other " + ", ".join(found)


def _short(value: Any) -> str:
    return str(value)[:12] if isinstance(value, str | int) else digest_of(value)[:12]

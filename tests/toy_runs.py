"""A whole run by toy couriers, in a second: the runner and its records are the real ones."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fakes import START, Footprints, scored_surveys
from roundelay.data.survey import SiteSurvey
from roundelay.errors import LedgerError
from roundelay.files.regular import file_digest
from roundelay.files.writing import write_bytes, write_json
from roundelay.records.arm_claims import arm_problems
from roundelay.records.closing import arm_files, close_run
from roundelay.records.contents import read_run
from roundelay.records.evidence import RunEvidence
from roundelay.records.result import RunResult, result_of, write_result
from roundelay.relay.chain import FIRST_PREVIOUS, chained
from roundelay.running.run import run_study
from roundelay.study.study import Study
from surveys import study

PLAN = study(
    top={"arms": ("cwt", "fedavg")},
    recipe={"rounds": 2, "epochs": 1, "precision": "float32"},
    evaluation={"choose": "best"},
    courier={"threads": 1},
)


class Toy(Footprints):
    """Footprints whose sites have two validation patients each; later models score better."""

    def __init__(self) -> None:
        super().__init__(lambda weight, site: min(0.2 + weight / 1000, 0.8))

    def survey(self) -> Mapping[str, SiteSurvey]:
        return scored_surveys(validation=2)


def toy_pictures(_study: Study, out: Path, label: str, scores: Any, _machine: Any) -> str:
    write_bytes(out / "samples" / "NORTH-best.png", b"a picture")
    row = {"file": "NORTH-best.png", "arm": label, "rank": "best", "slice": 1, "slices": 1}
    own = {"site": scores[0].site, "patient": scores[0].patient, "dice": scores[0].dice}
    write_json(out / "samples" / "samples.json", [row | own])
    return ""


def run_toy(
    out: Path, plan: Study = PLAN, *, courier: Callable[[], Footprints] = Toy, **settings: Any
) -> RunResult:
    """Run a study with the toy courier; no network is built and no page drawn."""
    with ExitStack() as patched:
        for name, fake in (
            ("run_plan.start_baton", lambda *_: START),
            ("run.draw_or_say", lambda *_: ""),
            ("run.pictures_or_say", toy_pictures),
        ):
            patched.enter_context(patch(f"roundelay.running.{name}", fake))
        patched.enter_context(patch("roundelay.report.refresh.draw_or_say", lambda *_: ""))
        return run_study(plan, out, courier_of=lambda *_, **__: courier(), **settings)


def copied(run: Path, to: Path) -> Path:
    """The run by hard links: what replaces a file leaves the first one as it was."""
    return shutil.copytree(run, to, copy_function=lambda a, b: Path(b).hardlink_to(a))


def put(path: Path, data: bytes | str) -> None:
    """Other bytes in a file's place, its other names left as they were."""
    path.unlink(missing_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def put_json(path: Path, change: Callable[[Any], Any]) -> None:
    """A JSON file with a change, spelled as it was."""
    values = json.loads(path.read_text())
    changed = change(values)
    put(path, json.dumps(values if changed is None else changed, indent=1) + "\n")


def rechain(place: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change the entries of a ledger, and chain all lines anew, as one who knows the format can."""
    entries = [json.loads(raw) for raw in (place / "ledger.jsonl").read_bytes().splitlines()]
    change(entries)
    previous, lines = FIRST_PREVIOUS, []
    for entry in entries:
        for key in ("previous", "digest"):
            entry.pop(key, None)
        line = chained(entry, previous)
        previous = line["digest"]
        lines.append(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    put(place / "ledger.jsonl", "".join(f"{line}\n" for line in lines))


def reclose(place: Path) -> None:
    """Chain an arm's ledger anew, its last line with the digests of the files as they are now."""

    def close(entries: list[dict[str, Any]]) -> None:
        entries[-1]["closing"] = {name: file_digest(place / name) for name in arm_files(place)}

    rechain(place, close)


def rewrite_end(run: Path) -> None:
    """Write summary.json, patients.csv and closing.json anew over whatever the arms hold now."""
    for name in ("summary.json", "patients.csv", "closing.json"):
        (run / name).unlink(missing_ok=True)
    found = read_run(run, verified=False)
    write_result(result_of(found))
    close_run(run, {arm.label: arm.head for arm in found.arms})


def close_anew(run: Path) -> None:
    """closing.json over whatever is there now."""
    heads = json.loads((run / "closing.json").read_text())["heads"]
    (run / "closing.json").unlink()
    close_run(run, heads)


def verify_arm(out: Path, label: str) -> str:
    """The head of an arm's ledger. Raises LedgerError naming what of ledger, plan, batons or last
    line does not fit."""
    if problems := arm_problems(out, label):
        raise LedgerError("\n".join(problems))
    return RunEvidence(out).arm(label).chain.head

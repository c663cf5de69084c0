"""``roundelay ledger``: who trained when on what, and what is proven. Needs no torch."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from roundelay.atomic import canonical_json
from roundelay.cli import show
from roundelay.errors import LedgerError
from roundelay.itinerary import Leg, Stop
from roundelay.ledger import read_ledger, verify

app = typer.Typer(help="Who trained when on what; what is proven.", no_args_is_help=True)
RunArgument = Annotated[Path, typer.Argument(help="A run folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]


@app.command("show")
def show_ledger(run: RunArgument, json_: JsonOption = False) -> None:
    """Every visit of every arm."""
    found = {place.name: read_ledger(place / "ledger.jsonl") for place in _arms(run)}
    if json_:
        show.json_line(found)
        return
    columns = [
        "stop",
        "round",
        "site",
        "task",
        "patients",
        "slice-visits",
        "loss",
        "s",
        "from",
        "to",
    ]
    for label, lines in found.items():
        show.table(label, columns, [_row(r) for line in lines[1:] for r in line["receipts"]])
        show.line(f"head {lines[-1]['digest']}\n")


@app.command("verify")
def verify_ledger(run: RunArgument, json_: JsonOption = False) -> None:
    """Check chains, hand-overs, plans and batons; say what that can't prove."""
    heads = {place.name: _verify(run, place) for place in _arms(run)}
    if json_:
        show.json_line({"verified": True, "heads": heads})
        return
    for label, head in heads.items():
        show.line(f"{label}: every line follows from the one before it. Head {head}")
    show.line(
        "Proven: nothing was altered, dropped, swapped or added within these ledgers and batons.\n"
        "Not proven: that they were not rewritten as a whole, or cut at the end before the run\n"
        "was finished. Compare the heads with those that somebody else noted down."
    )


def _verify(run: Path, place: Path) -> str:
    try:
        plan = json.loads((place / "itinerary.json").read_text(encoding="utf-8"))
        legs = [_leg(entry) for entry in plan]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{place / 'itinerary.json'} can't be read ({error}).") from error
    digest = hashlib.sha256(canonical_json(plan)).hexdigest()
    lines = verify(place, legs=legs, itinerary=digest)
    finished = (place / "scores.json").exists()
    if finished and len(lines) - 1 < len(legs):
        raise LedgerError(
            f"{place / 'ledger.jsonl'} ends after {len(lines) - 1} of {len(legs)} legs, but the arm"
            " is finished: lines were cut."
        )
    _check_summary(run, place.name, lines[-1]["digest"])
    return str(lines[-1]["digest"])


def _check_summary(run: Path, label: str, head: str) -> None:
    path = run / "summary.json"
    if not path.exists():
        return
    rows = json.loads(path.read_text(encoding="utf-8"))["arms"]
    for row in rows:
        name = f"{row['arm']}-{row['seed']}" + (f"-{row['site']}" if row["site"] else "")
        if name != label:
            continue
        model = (run / "arms" / label / "model.safetensors").read_bytes()
        if row["head"] != head:
            raise LedgerError(f"{path} notes another head for {label}: {row['head'][:12]}.")
        if row["model"] != hashlib.sha256(model).hexdigest():
            raise LedgerError(f"The model of {label} is not the one that {path} notes.")


def _leg(entry: dict[str, Any]) -> Leg:
    stops = tuple(
        Stop(**{**stop, "slices": tuple((site, n) for site, n in stop["slices"])})
        for stop in entry["stops"]
    )
    return Leg(entry["index"], stops)


def _arms(run: Path) -> list[Path]:
    places = sorted(path.parent for path in run.glob("arms/*/ledger.jsonl"))
    if not places:
        raise LedgerError(f"{run} holds no ledger (arms/*/ledger.jsonl). Give a run folder.")
    return places


def _row(receipt: dict[str, Any]) -> list[str]:
    loss = "" if receipt["loss"] is None else f"{receipt['loss']:.3f}"
    return [
        str(receipt["stop"] + 1),
        str(receipt["round"]),
        receipt["site"],
        receipt["task"],
        str(receipt["patients"]),
        str(receipt["slice_visits"]),
        loss,
        f"{receipt['seconds']:.1f}",
        receipt["received"][:12],
        receipt["returned"][:12],
    ]

"""``roundelay ledger``: who trained when on what, and what is proven. Needs no torch."""

from pathlib import Path
from typing import Annotated, Any

import typer

from roundelay.cli import show
from roundelay.cli.options import JsonOption

app = typer.Typer(help="Who trained when on what; what is proven.", no_args_is_help=True)
RunArgument = Annotated[Path, typer.Argument(help="A run folder.")]


@app.command("show")
def show_ledger(run: RunArgument, json_: JsonOption = False) -> None:
    """Every visit of every arm."""
    from roundelay.records.layout import LEDGER, arm_folders
    from roundelay.relay.ledger import read_ledger

    found = {label: read_ledger(place / LEDGER) for label, place in arm_folders(run).items()}
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
    from roundelay.records.layout import read_record
    from roundelay.records.verification import verify_run

    found = verify_run(run)
    record = read_record(run)
    if json_:
        show.json_line(
            {"verified": True, "heads": dict(found.heads), "signed_receipts": found.signed_receipts}
        )
        return
    for label, head in found.heads.items():
        show.line(f"{label}: every line follows from the one before it. Head {head}")
    if "network" in record:
        _say_signed(found.signed_receipts, record["network"])
        return
    show.line(
        "Proven: nothing was altered, dropped, swapped or added within these ledgers and batons.\n"
        "Not proven: that they were not rewritten as a whole, or cut at the end before the run\n"
        "was finished. Compare the heads with those that somebody else noted down."
    )


def _say_signed(signed: int, network: dict[str, Any]) -> None:
    from roundelay.network.wire.keys import fingerprint

    show.line(f"{signed} receipts are signed by the hospitals that they name, with these keys:")
    for name, public in network["roster"].items():
        show.line(f"  {name:<16}{fingerprint(public)}")
    show.line(
        "Proven: each of these parties signed its receipts, and each baton is the one that the\n"
        "receipt before it names. Nothing was altered, dropped, swapped or added in between.\n"
        "Not proven: that a key is a hospital's own (compare the fingerprints with what it says\n"
        "itself); what a hospital really trained on; that legs of an unfinished run were not cut\n"
        "at the end (compare the heads with those that somebody else noted down)."
    )


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

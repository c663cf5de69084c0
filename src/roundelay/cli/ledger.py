"""``roundelay ledger``: who trained when on what, and what is proven. Needs no torch."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len

from roundelay.cli import show
from roundelay.cli.options import JsonOption

if TYPE_CHECKING:
    from roundelay.records.verification import Verification

app = typer.Typer(help="Who trained when on what; what is proven.", no_args_is_help=True)
RunArgument = Annotated[Path, typer.Argument(help="A run folder.")]


@app.command("show")
def show_ledger(run: RunArgument, json_: JsonOption = False) -> None:
    """Every visit of every arm."""
    from roundelay.records.layout import LEDGER
    from roundelay.relay.chain import read_chain

    found = {label: read_chain(place / LEDGER) for label, place in _arms(run).items()}
    if json_:
        show.json_line({label: chain.lines for label, chain in found.items()})
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
    for label, chain in found.items():
        show.table(label, columns, [_row(r) for line in chain.legs for r in line["receipts"]])
        show.line(f"head {chain.head}\n")


def _arms(run: Path) -> dict[str, Path]:
    """The folders of all arms; of a folder of several runs those of each, its name in front."""
    from roundelay.records.layout import arm_folders
    from roundelay.records.left_out_claims import runs_below

    if not (runs := runs_below(run)):
        return arm_folders(run)
    return {
        f"{one.out.name}/{label}": place
        for one in runs
        for label, place in arm_folders(one.out).items()
    }


@app.command("verify")
def verify_ledger(
    run: RunArgument,
    before: Annotated[
        Path | None, typer.Option("--from", help="The run that it goes on from: is it that one?")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Look at all that a run claims: one line each, checked or not, and why."""
    from roundelay.errors import LedgerError
    from roundelay.records.verification import check_run

    found = check_run(run, before=before)
    if json_:
        show.json_line({"verified": not found.failed, **asdict(found)})
    else:
        _say(found, _network_of(run))
    if found.failed:
        failed = "\n".join(str(claim) for claim in found.failed)
        raise LedgerError(
            f"{len(found.failed)} of {len(found.claims)} claims failed:"
            f" {_said_of(found, run, before)}\n{failed}"
        )


def _said_of(found: "Verification", run: Path, before: Path | None) -> str:
    """What failed claims come to: a wrong ``--from`` says nothing against the run."""
    if before is not None and found.fails_by_predecessor:
        return (
            f"{run} doesn't go on from {before} as that is now. Nothing else of {run} failed: give"
            " --from the run that it names, unchanged."
        )
    return f"{run} is not what it was when it was written. Compare it with a copy held elsewhere."


def _network_of(run: Path) -> Any:
    from roundelay.records.layout import RECORD, read_record

    return read_record(run).get("network") if (run / RECORD).exists() else None


def _say(found: "Verification", network: Any) -> None:
    from roundelay.records.claims import plain

    for claim in found.claims:
        show.line(str(claim))
    counts = Counter(claim.outcome for claim in found.claims)
    show.line(
        f"\n{counts['checked']} checked, {counts['unchecked']} can't be checked,"
        f" {counts['failed']} failed."
    )
    if isinstance(network, dict) and not found.failed:
        from roundelay.network.wire.keys import fingerprint

        show.line(f"{found.signed_receipts} receipts are signed by hospitals, with these keys:")
        _pairs({name: fingerprint(public) for name, public in network["roster"].items()})
    show.line("Compare these heads with those that somebody else noted down:")
    whole = {"the whole run": found.head} if found.head else {}
    _pairs({plain(label): plain(head) for label, head in found.heads.items()} | whole)


def _pairs(rows: Mapping[str, str]) -> None:
    """Names and what belongs to them, in two columns."""
    width = max((cell_len(name) for name in rows), default=0) + 2
    for name, value in rows.items():
        show.line(f"  {name}{' ' * (width - cell_len(name))}{value}")


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

"""Whether a run folder is what its ledgers vouch for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from roundelay.errors import LedgerError
from roundelay.files.reading import read_json
from roundelay.plan.itinerary import Leg, open_legs
from roundelay.plan.itinerary import digest as itinerary_digest
from roundelay.records.arm import model_digest, read_legs
from roundelay.records.layout import (
    LEDGER,
    SCORES,
    SUMMARY,
    arm_folder,
    arm_folders,
    read_record,
)
from roundelay.records.signatures import check_signatures
from roundelay.relay.ledger import file_name, read_baton, read_ledger, sealed_as
from roundelay.relay.receipt import absence_statements


class _Row(BaseModel):
    label: str
    head: str
    model: str


class _Summary(BaseModel):
    arms: list[_Row]


_SUMMARY = TypeAdapter(_Summary)


def verify_arm(out: Path, label: str) -> str:
    """Check an arm's ledger, plan, batons, end and summary; return the ledger's head.

    Raises LedgerError naming what does not fit.
    """
    place = arm_folder(out, label)
    legs = read_legs(place)
    lines = verify(place, legs=legs, itinerary=itinerary_digest(legs))
    if (place / SCORES).exists() and len(lines) - 1 < len(legs):
        raise LedgerError(
            f"{place / 'ledger.jsonl'} ends after {len(lines) - 1} of {len(legs)} legs, but the arm"
            " is finished: lines were cut."
        )
    head = str(lines[-1]["digest"])
    if (out / SUMMARY).exists():
        rows = read_json(out / SUMMARY, _SUMMARY, LedgerError)["arms"]
        model = model_digest(place)
        for row in rows:
            if row["label"] == label and (row["head"], row["model"]) != (head, model):
                raise LedgerError(f"{out / SUMMARY} notes another head or model for {label}.")
    return head


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified: the head of every arm's ledger, and how many receipts hospitals signed."""

    heads: dict[str, str]
    signed_receipts: int


def verify_run(out: Path | str) -> Verification:
    """Check every arm of a run folder, and between hospitals the signatures too.

    Raises LedgerError naming what does not fit, RunFolderError where `out` is no run.
    """
    out = Path(out)
    arms = arm_folders(out)
    heads = {label: verify_arm(out, label) for label in arms}
    record, signed = read_record(out), 0
    if "network" in record:
        lines = {label: read_ledger(place / LEDGER) for label, place in arms.items()}
        signed = sum(check_signatures(record, label, found) for label, found in lines.items())
    return Verification(heads, signed)


def verify(folder: Path, *, legs: Sequence[Leg], itinerary: str) -> list[dict[str, Any]]:
    """Check an arm's folder: chain, plan, hand-overs and every baton kept. Raises LedgerError.

    Can't show: a wholesale rewrite, or whole legs cut from the end of a run that isn't finished.
    """
    path = folder / "ledger.jsonl"
    lines = read_ledger(path)
    if lines[0]["itinerary"] != itinerary:
        raise LedgerError(f"{folder / 'itinerary.json'} is not the plan that {path} began with.")
    sent, run = lines[0]["start"], list[int]()
    for line in lines[1:]:
        leg = _leg_of(path, line, open_legs(legs, run))
        _check_leg(path, line, leg, sent)
        sent = line["baton"]
        run.append(leg.index)
    by_name = {file_name(line["baton"], sealed=sealed_as(line) != ""): line for line in lines[1:]}
    for kept in sorted((folder / "batons").glob("[!.]*")):
        if kept.name in by_name:
            read_baton(kept.parent, by_name[kept.name])
        # One baton without its line is what a kill between the two writes leaves behind.
        elif (folder / "scores.json").exists():
            raise LedgerError(
                f"{kept} stands in no line of {path}: lines were cut, or it was added."
            )
    return lines


def _leg_of(path: Path, line: dict[str, Any], turn: Sequence[Leg]) -> Leg:
    """The planned leg of a line: the next one, or one before which others were put off."""
    deferred = {statement["statement"]["leg"] for statement in absence_statements(line, "deferred")}
    for leg in turn:
        if leg.index == line["leg"]:
            return leg
        if leg.index not in deferred:
            break
    raise LedgerError(f"{path}: leg {line['leg'] + 1} was run out of turn, or was not planned.")


def _check_leg(path: Path, line: dict[str, Any], leg: Leg, sent: str) -> None:
    planned = [(stop.index, stop.site, stop.slice_visits) for stop in leg.stops]
    stated = [(r["stop"], r["site"], r["slice_visits"]) for r in line["receipts"]]
    absent = [r["task"] == "absent" for r in line["receipts"]]
    planned = [(*p[:2], 0) if a else p for p, a in zip(planned, absent, strict=False)] + planned[
        len(absent) :
    ]
    if planned != stated:
        raise LedgerError(
            f"{path}, leg {leg.index + 1}: the visits are not those that were planned."
        )
    if any(receipt["received"] != sent for receipt in line["receipts"]):
        raise LedgerError(
            f"{path}, leg {leg.index + 1}: a site began with other weights than sent."
        )
    if (
        len(stated) == 1
        and leg.task == "train"
        and line["receipts"][0]["returned"] != line["baton"]
    ):
        raise LedgerError(f"{path}, leg {leg.index + 1}: the baton is not the one returned.")

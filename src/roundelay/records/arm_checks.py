"""What an arm's ledger says, held against its plan and its files; each check raises LedgerError."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roundelay.data.survey import POOLED, TRAIN, SiteSurvey
from roundelay.errors import LedgerError
from roundelay.plan.itinerary import Leg, Stop, open_legs
from roundelay.records.claims import CantBeChecked
from roundelay.relay.aggregation import aggregate
from roundelay.relay.baton import MODEL, Baton
from roundelay.relay.chain import Chain
from roundelay.relay.ledger import baton_file, read_baton, sealed_as, vouched_for
from roundelay.relay.receipt import absence_statements

AWAY = ("absent", "deferred")


def legs_run(path: Path, chain: Chain, legs: Sequence[Leg]) -> list[Leg]:
    """The planned leg of every line. Raises LedgerError for one out of turn, or not planned."""
    run: list[Leg] = []
    for line in chain.legs:
        run.append(_leg_of(path, line, open_legs(legs, [leg.index for leg in run])))
    return run


def _leg_of(path: Path, line: Mapping[str, Any], turn: Sequence[Leg]) -> Leg:
    """The next leg, or one before which others were put off."""
    deferred = {statement["statement"]["leg"] for statement in absence_statements(line, "deferred")}
    for leg in turn:
        if leg.index == line["leg"]:
            return leg
        if leg.index not in deferred:
            break
    raise LedgerError(f"{path}: leg {line['leg'] + 1} was run out of turn, or was not planned.")


def check_visits(path: Path, chain: Chain, legs: Sequence[Leg]) -> None:
    """Every visit is one that was planned, with the slices and steps that were."""
    for line, leg in zip(chain.legs, legs_run(path, chain, legs), strict=True):
        if len(line["receipts"]) != len(leg.stops) or not all(
            _as_planned(stop, receipt)
            for stop, receipt in zip(leg.stops, line["receipts"], strict=True)
        ):
            raise LedgerError(
                f"{path}, leg {leg.index + 1}: the visits are not those that were planned."
            )


def _as_planned(stop: Stop, receipt: Mapping[str, Any]) -> bool:
    work: tuple[str, int, int, int] = (stop.task, stop.slice_count, stop.slice_visits, stop.steps)
    if receipt["task"] == "absent" and stop.task == TRAIN:
        work = "absent", 0, 0, 0
    stated = tuple(receipt[key] for key in ("task", "slices", "slice_visits", "steps"))
    place = (stop.index, stop.site, stop.round)
    return place == (receipt["stop"], receipt["site"], receipt["round"]) and work == stated


def check_patients(path: Path, chain: Chain, surveys: Mapping[str, SiteSurvey]) -> None:
    """Every visit states as many training patients as its site has."""
    counts = {site: survey.patients[TRAIN] for site, survey in surveys.items()}
    counts[POOLED] = sum(counts.values())
    for line in chain.legs:
        for receipt in line["receipts"]:
            wanted = 0 if receipt["task"] in AWAY else counts.get(receipt["site"])
            if receipt["patients"] != wanted:
                raise LedgerError(
                    f"{path}, leg {line['leg'] + 1}: {receipt['site']} trained on"
                    f" {receipt['patients']} patients, but has {wanted}."
                )


def check_who_was_away(path: Path, chain: Chain, rule: str, *, abreast: bool) -> None:
    """Between hospitals a stop is skipped, or put off, only by the study's own `rule`: the
    coordinator signs for it, and nobody else. Never in an arm whose sites train `abreast`, be it
    one site alone."""
    for line in chain.legs:
        skipped = any(receipt["task"] == "absent" for receipt in line["receipts"])
        put_off = any(True for _ in absence_statements(line, "deferred"))
        alone = not abreast and len(line["receipts"]) == 1
        if (skipped and not (alone and rule == "skip")) or (
            put_off and not (alone and rule == "defer")
        ):
            raise LedgerError(
                f"{path}, leg {line['leg'] + 1} says that a site was away and passed over; the"
                f" study does not allow that (absent = {rule!r})."
            )


def check_nobody_was_away(path: Path, chain: Chain) -> None:
    """On one machine no stop is skipped or put off, and nothing is signed."""
    for line in chain.legs:
        if "proofs" in line or any(r["task"] in AWAY for r in line["receipts"]):
            raise LedgerError(
                f"{path}, leg {line['leg'] + 1} says that a site was away, or signed; on one"
                " machine none is, and none does."
            )


def check_handovers(path: Path, chain: Chain, legs: Sequence[Leg]) -> None:
    """Every site began with what was handed over, and what one returned is what went on."""
    sent, sizes = chain.lines[0]["start"], dict[str, int]()
    for line, leg in zip(chain.legs, legs_run(path, chain, legs), strict=True):
        where = f"{path}, leg {leg.index + 1}"
        if any(receipt["received"] != sent for receipt in line["receipts"]):
            raise LedgerError(f"{where}: a site began with other weights than sent.")
        alone = len(line["receipts"]) == 1 and leg.task != "recalibrate"
        if alone and line["receipts"][0]["returned"] != line["baton"]:
            raise LedgerError(f"{where}: the baton is not the one returned.")
        for receipt in line["receipts"]:
            for digest, size in (("received", "sent_bytes"), ("returned", "returned_bytes")):
                known = sizes.setdefault(receipt[digest], receipt[size])
                if receipt["task"] not in AWAY and known != receipt[size]:
                    raise LedgerError(f"{where}: a baton has another size than before.")
        sent = line["baton"]


def check_batons(place: Path, chain: Chain, numbers: frozenset[int] | None, *, done: bool) -> None:
    """Every baton that must stay is there, and every one that is there is as its line says.

    `numbers` are the hand-overs whose batons stay; None: all, with those that were merged.
    """
    by_name = {baton_file(line["baton"], sealed=sealed_as(line) != ""): line for line in chain.legs}
    merged = vouched_for(chain.legs, None)
    there = {path.name for path in (place / "batons").glob("[!.]*")}
    for number, line in enumerate(chain.legs):
        name = baton_file(line["baton"], sealed=sealed_as(line) != "")
        if (numbers is None or number in numbers) and name not in there:
            raise LedgerError(f"{place / 'batons' / name}, of hand-over {number + 1}, is missing.")
    for name in sorted(there):
        if name in by_name:
            read_baton(place / "batons", by_name[name])
        elif Path(name).stem in merged and name.endswith(".safetensors"):
            read_baton(place / "batons", {"baton": Path(name).stem})
        # One baton without its line is what a kill between the two writes leaves behind.
        elif done:
            raise LedgerError(
                f"{place / 'batons' / name} stands in no line of {place / 'ledger.jsonl'}: lines"
                " were cut, or it was added."
            )


def check_merged(place: Path, chain: Chain, legs: Sequence[Leg]) -> None:
    """What went on after several visits is what they come to: computed again where they are kept.

    Of a recalibration it is looked at least whether the rest of the model stayed as it was. Raises
    CantBeChecked where nothing of it is kept.
    """
    sent, unchecked = chain.lines[0]["start"], []
    for line, leg in zip(chain.legs, legs_run(place / "ledger.jsonl", chain, legs), strict=True):
        if leg.task == "recalibrate" or len(leg.stops) > 1:
            found = [_kept(place, r["returned"]) for r in line["receipts"]]
            before, after = _kept(place, sent), _kept(place, line["baton"])
            inputs = [one for one in found if one is not None]
            if len(inputs) == len(found) and (before or leg.task == TRAIN):
                if aggregate(leg, before or inputs[0], inputs).digest != line["baton"]:
                    raise LedgerError(
                        f"{place}, leg {leg.index + 1}: the baton is not what the visits come to."
                    )
            else:
                unchecked.append(str(leg.index + 1))
                if leg.task == "recalibrate" and before and after:
                    _check_only_statistics(place, leg, before, after)
        sent = line["baton"]
    if unchecked:
        raise CantBeChecked(
            f"what the sites returned in leg {', '.join(unchecked)} isn't kept (it is with"
            ' keep = "all")'
        )


def _kept(place: Path, digest: str) -> Baton | None:
    if not (place / "batons" / baton_file(digest, sealed=False)).exists():
        return None
    return read_baton(place / "batons", {"baton": digest})


def _check_only_statistics(place: Path, leg: Leg, before: Baton, after: Baton) -> None:
    old, new = {**before.part(MODEL), **before.part("average/")}, after.part(MODEL)
    same = [n for n in new if not n.endswith((".running_mean", ".running_var"))]
    if old.keys() != new.keys() or not all(np.array_equal(old[n], new[n]) for n in same):
        raise LedgerError(
            f"{place}, leg {leg.index + 1}: a recalibration changed more than BatchNorm's"
            " statistics."
        )

"""A visit as a hospital states it, held against the planned stop; turns that were missed."""

from collections.abc import Mapping, Sequence
from typing import Any

from roundelay.data.survey import TRAIN, SiteSurvey
from roundelay.errors import RefusedError
from roundelay.network.coordinator.turns import Turn
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import Message
from roundelay.network.wire.proposal import Proposal
from roundelay.network.wire.replies import VisitReply, complaint, parsed_reply
from roundelay.network.wire.sealed_baton import Place, absence, check_proof, passed_over, state
from roundelay.plan.itinerary import Leg, Stop
from roundelay.records.signatures import COORDINATOR
from roundelay.relay.baton import MODEL, Baton, part_of
from roundelay.relay.courier import Visit
from roundelay.relay.fitting import misfit, misfit_of_sums
from roundelay.relay.receipt import Receipt


def taken_visit(
    reply: Message, stop: Stop, survey: SiteSurvey, place: Place, proposal: Proposal, sent: Baton
) -> Visit:  # fmt: skip
    """Raises RefusedError unless the site signed just this baton, for just this stop, and it fits
    the network of the one that it was sent, where the coordinator can read it."""
    if said := complaint(reply.head):  # its approval was taken back
        raise RefusedError(f"{stop.site}: {said[1]}")
    proof = parsed_reply(VisitReply, reply.head, stop.site).proof
    statement = check_proof(proof, place, proposal, stop.site)
    if reply.digest != (statement.sealed or statement.returned):
        raise RefusedError(f"{stop.site} returned other bytes than it signed. Nothing was kept.")
    if statement.receipt is None or statement.receipt.returned != statement.returned:
        raise RefusedError(f"{stop.site} returned another baton than its receipt states.")
    receipt = statement.receipt.receipt()
    if differs := _differs(receipt, stop, survey):
        raise RefusedError(
            f"{stop.site} states another visit than was planned ({differs}). Nothing was kept."
        )
    if not statement.sealed and (fault := _unfit(stop, Baton(reply.payload), sent)):
        raise RefusedError(
            f"{stop.site} returned what does not fit the study's network: {fault}. Nothing was"
            " kept."
        )
    return Visit(receipt, Baton(reply.payload, proof.model_dump()))


def _unfit(stop: Stop, returned: Baton, sent: Baton) -> str | None:
    arrays, wire = sent.read()
    model = part_of(arrays, MODEL)
    if stop.task == "recalibrate":
        return misfit_of_sums(returned, model)
    return misfit(returned, model, wire=wire)


def refuse_unlike_sums(leg: Leg, visits: Sequence[Visit]) -> None:
    """Raise RefusedError where the sites of a recalibration give sums of different layers, or
    those whose models are averaged return different parts."""
    kinds = {frozenset(visit.baton.arrays()) for visit in visits} if len(visits) > 1 else ()
    if len(kinds) > 1:
        sites = ", ".join(stop.site for stop in leg.stops)
        raise RefusedError(
            f"{sites} returned batons of different parts, which can't be put together. Look at the"
            " versions that  roundelay network status  shows. Nothing was kept."
        )


def _differs(receipt: Receipt, stop: Stop, survey: SiteSurvey) -> str:
    """What of a receipt is not as planned; empty where all is."""
    planned: Mapping[str, Any] = {
        "stop": stop.index,
        "site": stop.site,
        "round": stop.round,
        "task": stop.task,
        "patients": survey.patients[TRAIN],
        "slices": stop.slice_count,
        "slice_visits": stop.slice_visits,
        "steps": stop.steps,
    }
    return ", ".join(
        f"{key} {getattr(receipt, key)}, not {value}"
        for key, value in planned.items()
        if getattr(receipt, key) != value
    )


def skipped_visit(stop: Stop, baton: Baton, seconds: float, place: Place, keys: Keys) -> Visit:
    """The stop is skipped: the baton goes on as it is, and we sign that it did."""
    receipt = absence(stop, "absent", baton, seconds)
    return Visit(receipt, passed_over(baton, place, receipt, COORDINATOR, keys))


def with_deferred(
    visit: Visit, leg: Leg, turn: Turn | None, sent: Baton, place: Place, keys: Keys
) -> Visit:
    """The visit, with our signed statement on each stop that it came before. `place` is its own."""
    statements = []
    for other, seconds in (turn.put_off if turn else {}).items():
        if other.index < leg.index:
            receipt = absence(other.stops[0], "deferred", sent, seconds)
            there = {**place, "leg": other.index}
            statements.append(state(there, sent.digest, "", receipt, COORDINATOR, keys))
    if not statements:
        return visit
    proof = {**(visit.baton.proof or {}), "deferred": statements}
    return Visit(visit.receipt, Baton(visit.baton.data, proof))

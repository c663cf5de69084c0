"""The loop that hands over; no torch, no files, no network."""

from collections.abc import Callable

from roundelay.errors import HandoverError
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import Leg, Stop, open_legs
from roundelay.relay.aggregation import aggregate
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Courier, Visit
from roundelay.relay.ledger import Ledger

AfterLeg = Callable[[int, Leg, Baton], None]
"""Told of each hand-over: its number from 0, its leg, the baton that goes on."""


def relay(
    start: Baton, arm: Arm, courier: Courier, ledger: Ledger, after_leg: AfterLeg | None = None
) -> Baton:
    """Let each site go on from exactly what the one before it returned.

    `after_leg` is told of every leg once its line stands in the ledger.
    """
    baton = ledger.last_baton() or start
    while turn := open_legs(arm.legs, ledger.legs_run):
        leg = courier.next_leg(turn)
        visits = courier.train(baton, leg.stops)
        for stop, visit in zip(leg.stops, visits, strict=True):
            check_handover(stop, visit, sent=baton)
        returned = [visit.baton for visit in visits]
        baton = aggregate(leg, baton, returned)
        merged = [one for one in returned if one is not baton]
        proofs = [one.proof for one in returned]
        ledger.append(leg, [visit.receipt for visit in visits], baton, proofs, merged)
        if after_leg is not None:
            after_leg(ledger.legs_done - 1, leg, baton)
    return baton


def check_handover(stop: Stop, visit: Visit, *, sent: Baton) -> None:
    """Raise HandoverError unless the site began with what it was sent and returns what it says."""
    receipt = visit.receipt
    if (receipt.stop, receipt.site) != (stop.index, stop.site):
        raise HandoverError(
            f"{stop} was answered by {receipt.site} for stop {receipt.stop + 1}.\n"
            "Nothing from this visit was kept. Go on with --resume."
        )
    for said, is_so, what in (
        (receipt.received, sent.digest, "did not start from the weights that it was sent"),
        (receipt.returned, visit.baton.digest, "returned other bytes than its receipt states"),
    ):
        if said != is_so:
            raise HandoverError(
                f"{stop} {what}.\n  expected  {is_so[:12]}\n  stated    {said[:12]}\n"
                "Nothing from this visit was kept. Mend the site, then go on with --resume."
            )

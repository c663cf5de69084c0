"""The loop that hands over, and what it asks of a courier; no torch, no files, no network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from roundelay.arms import Arm
from roundelay.baton import Baton
from roundelay.errors import HandoverError
from roundelay.evaluation.scores import PatientScore
from roundelay.itinerary import Leg, Stop, open_legs
from roundelay.ledger import Ledger, Receipt
from roundelay.merging import merge
from roundelay.survey import SiteSurvey


@dataclass(frozen=True, slots=True)
class Visit:
    """A stop as it happened: the site's statement, and the baton that it returns."""

    receipt: Receipt
    baton: Baton


class Courier(Protocol):
    """How a baton reaches a site and comes back.

    Every method raises SiteError where a site fails, and keeps nothing of what failed.
    """

    def survey(self) -> Mapping[str, SiteSurvey]:
        """Every site's numbers, in the order in which the sites are given."""

    def next_leg(self, legs: Sequence[Leg]) -> Leg:
        """Which of the round's legs that are still open is run next: the first, unless the study
        puts off sites that are away."""

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        """One visit for each stop, in their order; all of them begin with `baton`."""

    def evaluate(self, baton: Baton, sites: Sequence[str], split: str) -> list[PatientScore]:
        """Scores of the patients of one split, site by site."""

    def opened(self, baton: Baton) -> Baton:
        """The baton as whoever runs the study may read it: itself, or opened; else still sealed."""

    def facts(self) -> Mapping[str, Any]:
        """What run.json records of the way that batons take; the same when a run is resumed."""

    def close(self) -> None:
        """End what was started."""


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
        baton = merge(leg, baton, [visit.baton for visit in visits])
        proofs = [visit.baton.proof for visit in visits]
        ledger.append(leg, [visit.receipt for visit in visits], baton, proofs)
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

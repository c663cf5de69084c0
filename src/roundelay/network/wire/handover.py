"""Who hands a baton over to whom, and who may open it."""

from collections.abc import Sequence

from roundelay.errors import RefusedError
from roundelay.network.wire.proposal import Proposal
from roundelay.plan.itinerary import IN_TURN, Leg
from roundelay.plan.legs import followed
from roundelay.records.signatures import COORDINATOR


def holder(proposal: Proposal, legs: Sequence[Leg], leg: int, before: int) -> str:
    """Who hands over to `leg` the baton that leg `before` returned (-1: the start).

    Raises RefusedError where the study leaves no room for that: where sites that are away are
    waited for, it is the leg before; where they may be put off, one of this round or, but for a
    recalibration, the last one.
    """
    if not -1 <= before < len(legs) or before == leg or not _in_turn(proposal, legs, leg, before):
        raise RefusedError(
            f"The baton of leg {before + 1} is handed over out of turn, to leg {leg + 1}."
        )
    if before == -1:
        return COORDINATOR
    if len(legs[before].stops) == 1 and legs[before].task != "recalibrate":
        return legs[before].stops[0].site
    if proposal.sealed:
        raise RefusedError("Merged batons do not travel in a sealed study.")
    return COORDINATOR


def scored_holder(proposal: Proposal, legs: Sequence[Leg], number: int, before: int) -> str:
    """Who handed on the model that is scored after `number` + 1 legs, stated as leg `before`'s.

    It is that leg's own model; where sites that are away may be put off, one of the same round;
    where they may be skipped, an earlier one; never where it was recalibrated in turn, which waits
    for all. Raises RefusedError for any other, and where the coordinator would have to read a
    sealed model to hand it on.
    """
    waits = legs[number].task == IN_TURN
    fits = {
        "wait": before == number,
        "skip": -1 <= before <= number,
        "defer": 0 <= before < len(legs)
        and legs[before].stops[0].round == legs[number].stops[0].round,
    }
    if not fits["wait" if waits else proposal.absent]:
        raise RefusedError(
            f"The model of leg {before + 1} can't be scored as that of leg {number + 1}."
        )
    if before >= 0 and proposal.sealed:
        return _one_site(legs[before])
    return COORDINATOR


def next_sites(sites: Sequence[str], legs: Sequence[Leg], leg: Leg) -> tuple[str, ...]:
    """Who has the baton of `leg` next, unless somebody is put off or skipped: the site of the leg
    after, all sites at the end; nobody where it is put together with others first."""
    if len(leg.stops) > 1:
        return ()
    if leg.index + 1 == len(legs):
        return tuple(sites)
    return tuple(stop.site for stop in legs[leg.index + 1].stops)


def _one_site(leg: Leg) -> str:
    if len(leg.stops) != 1 or leg.task == "recalibrate":
        raise RefusedError("Merged batons do not travel in a sealed study.")
    return leg.stops[0].site


def _in_turn(proposal: Proposal, legs: Sequence[Leg], leg: int, before: int) -> bool:
    recalibrated = before >= 0 and legs[before].task != "train"
    if proposal.absent == "wait" or recalibrated or legs[max(leg - 1, 0)].task == IN_TURN:
        return before == leg - 1
    if proposal.absent == "skip":
        return before < leg
    own, last = legs[leg].stops[0].round, 0 if before == -1 else legs[before].stops[0].round
    return last == own or (last == own - 1 and legs[leg].task == "train")


def recipients(proposal: Proposal, legs: Sequence[Leg], leg: int) -> tuple[str, ...]:
    """Who may open the baton that `leg` hands on: the next site; all sites where all are to judge
    the model (ends of rounds, the end), and where it is open who is next; sums that travel on to
    the next site alone; the owner only if the study says so."""
    ends = leg + 1 >= len(legs)
    judged = ends or leg in followed(legs, proposal.study.evaluation)
    sums = legs[leg].task == IN_TURN and not ends
    if (proposal.absent != "wait" or judged) and not sums:
        names = proposal.sites
    else:
        names = tuple(stop.site for stop in legs[leg + 1].stops)
    return (*names, COORDINATOR) if proposal.seal == "owner" else names

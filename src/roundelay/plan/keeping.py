"""Which hand-overs' batons stay in a run folder: one rule for who drops and who looks for them."""

from collections.abc import Sequence

from roundelay.plan.itinerary import Leg
from roundelay.plan.legs import round_ends
from roundelay.study.study import Study


def kept_always(study: Study, legs: Sequence[Leg]) -> frozenset[int] | None:
    """The hand-overs of an arm, from 0, whose batons stay to its end; None: all of them."""
    if study.keep == "all":
        return None
    return frozenset(round_ends(legs) if study.evaluation.choose != "last" else ())


def kept(always: frozenset[int] | None, done: int) -> frozenset[int] | None:
    """Those that are there after `done` hand-overs: the last two, and `always`; None: all."""
    if always is None:
        return None
    last = {done - 1, done - 2}
    return frozenset(number for number in always | last if 0 <= number < done)

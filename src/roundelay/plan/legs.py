"""The legs of one arm, with every stop's place in the schedule."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from roundelay.data.survey import TEST, VALIDATION
from roundelay.plan.itinerary import IN_TURN, Leg, Stop
from roundelay.plan.work import VisitWork, share
from roundelay.study.sections import PARALLEL, Evaluation, Recipe


def lay_legs(
    recipe: Recipe,
    name: str,
    seed: int,
    turns: Sequence[Sequence[str]],
    works: Mapping[str, VisitWork],
    *,
    sealed: bool = False,
) -> tuple[Leg, ...]:
    """A leg a site in a relay; a leg a round where sites train side by side.

    Where batons are `sealed`, nobody could add what sites recalibrate side by side: they do so in
    turn, a leg each.

    A relay has one clock for the learning rate; side by side, each site walks through the whole
    schedule at its own pace.
    """
    abreast = name in PARALLEL
    clocks = {site: site if abreast else "all" for turn in turns for site in turn}
    walked, totals = Counter[str](), Counter[str]()
    for turn in turns:
        for site in turn:
            totals[clocks[site]] += works[site].steps
    legs: list[Leg] = []
    last_stop: dict[str, int] = {}
    index = 0
    for number, turn in enumerate(turns, start=1):
        seen_this_round = 0
        for group in [turn] if abreast else [[site] for site in turn]:
            stops = []
            for site in group:
                work, clock = works[site], clocks[site]
                stop = Stop(
                    arm=name,
                    seed=seed,
                    index=index,
                    round=number,
                    site=site,
                    task="train",
                    slices=work.slices,
                    slice_visits=work.slice_visits,
                    steps=work.steps,
                    first_step=walked[clock],
                    total_steps=totals[clock],
                    last_round=number == len(turns),
                    weight_before=0 if abreast else seen_this_round,
                    previous_here=last_stop.get(site),
                )
                stops.append(stop)
                last_stop[site] = index
                index += 1
                walked[clock] += work.steps
                seen_this_round += work.slice_visits
            legs.append(Leg(len(legs), tuple(stops)))
    if recipe.recalibrate_batchnorm:
        last = _recalibration(recipe, legs, works)
        legs += _in_turn(last) if sealed else [last]
    return tuple(legs)


def _recalibration(recipe: Recipe, legs: Sequence[Leg], works: Mapping[str, VisitWork]) -> Leg:
    """A last leg in which nothing trains: every site adds its sums, side by side."""
    last = legs[-1].stops[-1]
    weights = [work.size for work in works.values()]
    visits = share(max(recipe.recalibration_slices, len(weights)), weights)
    stops = tuple(
        replace(
            last,
            index=last.index + 1 + i,
            site=site,
            task="recalibrate",
            slices=works[site].slices,
            slice_visits=visits[i],
            steps=-(-visits[i] // recipe.batch),
            first_step=last.total_steps,
            weight_before=0,
            previous_here=None,
        )
        for i, site in enumerate(works)
    )
    return Leg(len(legs), stops)


def _in_turn(side_by_side: Leg) -> Iterator[Leg]:
    """The same stops one after the other: on the same slices, in the order in which sums of sites
    are added."""
    total = sum(stop.steps for stop in side_by_side.stops)
    steps = visits = 0
    for i, stop in enumerate(side_by_side.stops):
        own = replace(stop, task=IN_TURN, first_step=steps, total_steps=total, weight_before=visits)
        yield Leg(side_by_side.index + i, (own,))
        steps, visits = steps + stop.steps, visits + stop.slice_visits


def round_ends(legs: Sequence[Leg]) -> tuple[int, ...]:
    """The last leg of each round: the models among which one may be chosen."""
    ends = {leg.stops[0].round: leg.index for leg in legs}
    return tuple(ends.values())


def followed(legs: Sequence[Leg], settings: Evaluation) -> frozenset[int]:
    """The hand-overs after which a study validates: none, each round's last, or every one.

    Of a recalibration in turn the last alone: until then the model is as it was.
    """
    if settings.follow == "visit":
        ends = {legs[-1].index} if legs else set()
        return frozenset(leg.index for leg in legs if leg.task != IN_TURN) | ends
    if settings.follow != "none" or settings.choose != "last":
        return frozenset(round_ends(legs))
    return frozenset()


def scored_after(legs: Sequence[Leg], settings: Evaluation) -> dict[str, frozenset[int]]:
    """By split: the hand-overs, counted from 0, whose model the study may ask the sites to score.

    Validation patients: those that are followed, and the arm's end. Test patients: the arm's end
    alone; where one of the rounds' models is chosen, that one, which may be any of them.
    """
    ends = {len(legs) - 1} if settings.choose == "last" else set(round_ends(legs))
    return {VALIDATION: followed(legs, settings) | ends, TEST: frozenset(ends)}

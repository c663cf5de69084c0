"""The whole way of every arm that a study compares, laid before training begins."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from roundelay.errors import DataError, StudyError
from roundelay.itinerary import Leg, Stop, order_sites, share
from roundelay.study import Recipe, Study
from roundelay.survey import POOLED, TRAIN, SiteSurvey

RELAYS, PARALLEL = ("cwt", "swt"), ("fedavg", "fedprox")
"""Arms in which one site trains at a time, and arms in which all sites of a round do."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training that is compared, with one seed.

    `site` names the home of a model that stays there (``local``), `order` the order of the sites
    where a study compares several.
    """

    name: str
    seed: int
    legs: tuple[Leg, ...]
    site: str | None = None
    order: str | None = None

    @property
    def label(self) -> str:
        """The name of its folder."""
        own = self.site or self.order
        return f"{self.name}-{self.seed}" + (f"-{own}" if own else "")

    @property
    def slice_visits(self) -> int:
        return sum(s.slice_visits for leg in self.legs for s in leg.stops if s.task == "train")

    @property
    def round_ends(self) -> tuple[int, ...]:
        """The last leg of each round: the models among which one may be chosen."""
        ends = {leg.stops[0].round: leg.index for leg in self.legs}
        return tuple(ends.values())


@dataclass(frozen=True, slots=True)
class Work:
    """What a site does in one visit: slices to draw from, slice-visits, steps."""

    slices: tuple[tuple[str, int], ...]
    slice_visits: int
    steps: int

    @property
    def size(self) -> int:
        return sum(count for _, count in self.slices)


def lay(study: Study, surveys: Mapping[str, SiteSurvey]) -> list[Arm]:
    """The whole way of every arm, each with the same number of slice-visits for every model.

    Raises DataError where a site has nothing to train on, StudyError for an impossible order.
    """
    trained = _without(study.evaluation.leave_out, surveys)
    order = _given_order(study, trained)
    slices = site_slices(study, {site: trained[site] for site in order})
    works = {site: _work(study.recipe, site, slices) for site in order}
    arms = []
    for seed in study.seeds:
        for name in study.arms:
            arms += _lay_arm(study.recipe, name, seed, order, works)
    return arms


def _without(left_out: str | None, surveys: Mapping[str, SiteSurvey]) -> dict[str, SiteSurvey]:
    """The sites that train: all but the one that the model is to meet for the first time."""
    if left_out is not None and left_out not in surveys:
        raise StudyError(
            f"leave_out = {left_out!r} is no site; the sites are {', '.join(surveys)}."
        )
    trained = {site: survey for site, survey in surveys.items() if site != left_out}
    if not trained:
        raise StudyError(f"leave_out = {left_out!r} leaves no site to train at.")
    return trained


def site_slices(study: Study, surveys: Mapping[str, SiteSurvey]) -> dict[str, int]:
    """How many training slices each site draws from: all, or its share of ``train_slices``."""
    counts = {site: survey.slices[TRAIN] for site, survey in surveys.items()}
    for site, count in counts.items():
        if not count:
            raise DataError(
                f"Site {site} has no training slices. Give it patients, make the shares of"
                " validation and test smaller, or leave the site out."
            )
    wanted = study.data.train_slices
    if wanted is not None:
        if not len(counts) <= wanted <= sum(counts.values()):
            raise StudyError(
                f"train_slices = {wanted}, but the {len(counts)} sites have"
                f" {sum(counts.values())} training slices together."
            )
        counts = dict(zip(counts, share(wanted, list(counts.values())), strict=True))
    for site, count in counts.items():
        if study.recipe.batch > count:
            raise StudyError(
                f"batch = {study.recipe.batch} is larger than the {count} training slices of"
                f" site {site}. Choose a smaller batch or more slices."
            )
    return counts


def _given_order(study: Study, trained: Mapping[str, SiteSurvey]) -> tuple[str, ...]:
    if not study.recipe.site_order:
        return tuple(trained)
    order = tuple(s for s in study.recipe.site_order if s != study.evaluation.leave_out)
    if set(order) != set(trained):
        raise StudyError(
            f"site_order names {', '.join(order)}; the sites are {', '.join(trained)}."
        )
    return order


def _work(recipe: Recipe, site: str, slices: Mapping[str, int]) -> Work:
    """One visit's work: proportional to the site's slices, or the same at every site."""
    own, sites, batch = slices[site], len(slices), recipe.batch
    if recipe.steps is not None:
        steps = recipe.steps
        if recipe.work == "proportional":
            steps = share(steps * sites, list(slices.values()))[list(slices).index(site)]
        return Work(((site, own),), steps * batch, steps)
    epochs = recipe.epochs or 1
    visits = epochs * own
    if recipe.work == "equal":
        total = epochs * sum(slices.values())
        position = list(slices).index(site)
        visits = total // sites + (position < total % sites)
    return Work(((site, own),), visits, -(-visits // batch))


def _lay_arm(
    recipe: Recipe, name: str, seed: int, given: Sequence[str], works: Mapping[str, Work]
) -> list[Arm]:
    rounds = recipe.rounds
    if name in RELAYS:
        if name == "swt":
            rounds, works = 1, {site: _times(work, rounds) for site, work in works.items()}
        arms = []
        for order in (recipe.order, *recipe.compare_orders):
            sizes = {site: work.size for site, work in works.items()}
            turns = order_sites(order, given, rounds=rounds, sizes=sizes, seed=seed)
            shown = order if recipe.compare_orders else None
            legs = _legs(recipe, "-".join(filter(None, (name, shown))), seed, turns, works)
            arms.append(Arm(name, seed, legs, order=shown))
        return arms
    if name in PARALLEL:
        return [Arm(name, seed, _legs(recipe, name, seed, (tuple(given),) * rounds, works))]
    everything = sum(work.slice_visits for work in works.values())
    steps = -(-everything // recipe.batch)
    if name == "pooled":
        everyone = tuple(pair for work in works.values() for pair in work.slices)
        pooled = {POOLED: Work(everyone, everything, steps)}
        return [Arm(name, seed, _legs(recipe, name, seed, ((POOLED,),) * rounds, pooled))]
    arms = []
    for site in given:
        # As many slice-visits as the other arms' models get, not only this site's share of them.
        own = {site: Work(works[site].slices, everything, steps)}
        arms.append(Arm(name, seed, _legs(recipe, name, seed, ((site,),) * rounds, own), site))
    return arms


def _times(work: Work, rounds: int) -> Work:
    return Work(work.slices, work.slice_visits * rounds, work.steps * rounds)


def _legs(
    recipe: Recipe, name: str, seed: int, turns: Sequence[Sequence[str]], works: Mapping[str, Work]
) -> tuple[Leg, ...]:
    """A leg a site in a relay; a leg a round where sites train side by side.

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
    if recipe.calibrate:
        legs.append(_calibration(recipe, legs, works))
    return tuple(legs)


def _calibration(recipe: Recipe, legs: Sequence[Leg], works: Mapping[str, Work]) -> Leg:
    """A last leg in which nothing trains: every site adds its sums, side by side."""
    last = legs[-1].stops[-1]
    weights = [work.size for work in works.values()]
    visits = share(max(recipe.calibration_slices, len(weights)), weights)
    stops = tuple(
        replace(
            last,
            index=last.index + 1 + i,
            site=site,
            task="calibrate",
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

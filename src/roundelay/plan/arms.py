"""The whole itinerary of every arm that a study compares, laid before training begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from roundelay.data.survey import POOLED, TRAIN, SiteSurvey
from roundelay.errors import DataError, StudyError
from roundelay.plan.itinerary import Leg
from roundelay.plan.legs import lay_legs, round_ends
from roundelay.plan.orders import order_sites
from roundelay.plan.work import VisitWork, site_slices, times, visit_work
from roundelay.study.sections import PARALLEL, RELAYS, Recipe
from roundelay.study.study import Study

MOST_STOPS = 1_000_000
"""Of all arms together."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One method with one seed, as it is compared.

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
        """How it is called; its folder stands as `records.layout.arm_folder` says."""
        own = self.site or self.order
        return f"{self.name}-{self.seed}" + (f"-{own}" if own else "")

    @property
    def slice_visits(self) -> int:
        return sum(s.slice_visits for leg in self.legs for s in leg.stops if s.task == "train")

    @property
    def round_ends(self) -> tuple[int, ...]:
        """The last leg of each round: the models among which one may be chosen."""
        return round_ends(self.legs)


def lay(study: Study, surveys: Mapping[str, SiteSurvey], *, sealed: bool = False) -> list[Arm]:
    """The whole itinerary of every arm, each with the same number of slice-visits for every model.

    `sealed` says that batons go between hospitals in envelopes that the coordinator can't open.
    Raises DataError where a site has nothing to train on, StudyError for an impossible order.
    """
    trained = _trained(study, surveys)
    order = _given_order(study, trained, surveys)
    _refuse_endless(study, len(order))
    slices = site_slices(study, {site: trained[site] for site in order})
    works = {site: visit_work(study.recipe, site, slices) for site in order}
    arms = []
    for seed in study.seeds:
        for name in study.arms:
            arms += _lay_arm(study.recipe, name, seed, order, works, sealed=sealed)
    return arms


def _trained(study: Study, surveys: Mapping[str, SiteSurvey]) -> dict[str, SiteSurvey]:
    """The sites that train: all but the one that the model is to meet for the first time, or those
    all of whose patients test in this fold."""
    if study.data.test_fold is not None:
        trained = {site: one for site, one in surveys.items() if one.patients[TRAIN]}
        if not trained:
            raise DataError(
                f"In fold {study.data.test_fold} all patients test and none trains: there are too"
                " few for folds."
            )
        return trained
    left_out = study.evaluation.leave_out
    if left_out is not None and left_out not in surveys:
        raise StudyError(
            f"leave_out = {left_out!r} is no site; the sites are {', '.join(surveys)}."
        )
    trained = {site: survey for site, survey in surveys.items() if site != left_out}
    if not trained:
        raise StudyError(f"leave_out = {left_out!r} leaves no site to train at.")
    return trained


def drawn_slices(study: Study, surveys: Mapping[str, SiteSurvey]) -> dict[str, int]:
    """From how many training slices each site that trains draws. Raises as `lay` does."""
    return site_slices(study, _trained(study, surveys))


def most_visits(study: Study, sites: int) -> int:
    """How many visits all arms have together, at most; known without laying them."""
    orders = len(study.recipe.compare_orders) + 1
    per_round = sum(sites * (orders if name in RELAYS else 1) for name in study.arms)
    return study.recipe.rounds * len(study.seeds) * per_round


def _refuse_endless(study: Study, sites: int) -> None:
    """Raise StudyError where the itineraries would not fit into memory."""
    stops = most_visits(study, sites)
    if stops > MOST_STOPS:
        raise StudyError(
            f"{len(study.seeds)} seeds, {len(study.arms)} arms, {study.recipe.rounds:,} rounds and"
            f" {sites} sites make {stops:,} visits; {MOST_STOPS:,} at most. Take fewer of them"
            " (recipe.steps and recipe.epochs make a visit longer)."
        )


def _given_order(
    study: Study, trained: Mapping[str, SiteSurvey], surveys: Mapping[str, SiteSurvey]
) -> tuple[str, ...]:
    if not study.recipe.site_order:
        return tuple(trained)
    away = set(surveys) - set(trained)
    order = tuple(site for site in study.recipe.site_order if site not in away)
    if set(order) != set(trained):
        raise StudyError(
            f"site_order names {', '.join(order)}; the sites are {', '.join(trained)}."
        )
    return order


def _lay_arm(
    recipe: Recipe, name: str, seed: int, given: Sequence[str], works: Mapping[str, VisitWork],
    *, sealed: bool,
) -> list[Arm]:  # fmt: skip
    rounds, lay_them = recipe.rounds, partial(lay_legs, recipe, sealed=sealed)
    if name in RELAYS:
        if name == "swt":
            rounds, works = 1, {site: times(work, rounds) for site, work in works.items()}
        arms = []
        for order in (recipe.order, *recipe.compare_orders):
            sizes = {site: work.size for site, work in works.items()}
            turns = order_sites(order, given, rounds=rounds, sizes=sizes, seed=seed)
            shown = order if recipe.compare_orders else None
            legs = lay_them("-".join(filter(None, (name, shown))), seed, turns, works)
            arms.append(Arm(name, seed, legs, order=shown))
        return arms
    if name in PARALLEL:
        return [Arm(name, seed, lay_them(name, seed, (tuple(given),) * rounds, works))]
    everything = sum(work.slice_visits for work in works.values())
    steps = -(-everything // recipe.batch)
    if name == "pooled":
        everyone = tuple(pair for work in works.values() for pair in work.slices)
        pooled = {POOLED: VisitWork(everyone, everything, steps)}
        return [Arm(name, seed, lay_them(name, seed, ((POOLED,),) * rounds, pooled))]
    arms = []
    for site in given:
        # As many slice-visits as the other arms' models get, not only this site's share of them.
        own = {site: VisitWork(works[site].slices, everything, steps)}
        arms.append(Arm(name, seed, lay_them(name, seed, ((site,),) * rounds, own), site))
    return arms

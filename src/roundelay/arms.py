"""An arm is an itinerary and how the batons of a leg become one; `lay` plans, `merge` joins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from roundelay.baton import AVERAGE, MODEL, SUMS, Arrays, Baton, join
from roundelay.errors import DataError, StudyError
from roundelay.itinerary import Leg, Stop, order_sites, share
from roundelay.study import Recipe, Study
from roundelay.survey import POOLED, TRAIN, SiteSurvey


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training that is compared, with one seed; `site` for a model that stays there."""

    name: str
    seed: int
    legs: tuple[Leg, ...]
    site: str | None = None

    @property
    def label(self) -> str:
        """The name of its folder."""
        return f"{self.name}-{self.seed}" + (f"-{self.site}" if self.site else "")

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
    order = _given_order(study.recipe, surveys)
    slices = site_slices(study, {site: surveys[site] for site in order})
    works = {site: _work(study.recipe, site, slices) for site in order}
    arms = []
    for seed in study.seeds:
        for name in study.arms:
            arms += _lay_arm(study.recipe, name, seed, order, works)
    return arms


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


def _given_order(recipe: Recipe, surveys: Mapping[str, SiteSurvey]) -> tuple[str, ...]:
    if not recipe.site_order:
        return tuple(surveys)
    if set(recipe.site_order) != set(surveys):
        raise StudyError(
            f"site_order names {', '.join(recipe.site_order)}; the sites are {', '.join(surveys)}."
        )
    return recipe.site_order


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
    recipe: Recipe, name: str, seed: int, order: Sequence[str], works: Mapping[str, Work]
) -> list[Arm]:
    rounds = recipe.rounds
    sizes = {site: work.size for site, work in works.items()}
    everything = sum(work.slice_visits for work in works.values())
    if name == "cwt":
        turns = order_sites(recipe.order, order, rounds=rounds, sizes=sizes, seed=seed)
        return [Arm(name, seed, _legs(recipe, name, seed, turns, works))]
    if name == "swt":
        turns = order_sites(recipe.order, order, rounds=1, sizes=sizes, seed=seed)
        longer = {site: _times(work, rounds) for site, work in works.items()}
        return [Arm(name, seed, _legs(recipe, name, seed, turns, longer))]
    if name == "pooled":
        everyone = tuple(pair for work in works.values() for pair in work.slices)
        work = Work(everyone, everything, -(-everything // recipe.batch))
        turns = ((POOLED,),) * rounds
        return [Arm(name, seed, _legs(recipe, name, seed, turns, {POOLED: work}))]
    arms = []
    for site in order:
        # As many slice-visits as the other arms' models get, not only this site's share of them.
        work = Work(works[site].slices, everything, -(-everything // recipe.batch))
        legs = _legs(recipe, name, seed, ((site,),) * rounds, {site: work})
        arms.append(Arm(name, seed, legs, site))
    return arms


def _times(work: Work, rounds: int) -> Work:
    return Work(work.slices, work.slice_visits * rounds, work.steps * rounds)


def _legs(
    recipe: Recipe, name: str, seed: int, turns: Sequence[Sequence[str]], works: Mapping[str, Work]
) -> tuple[Leg, ...]:
    total = sum(works[site].steps for turn in turns for site in turn)
    legs: list[Leg] = []
    last_stop: dict[str, int] = {}
    step = 0
    for number, turn in enumerate(turns, start=1):
        seen_this_round = 0
        for site in turn:
            work, index = works[site], len(legs)
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
                first_step=step,
                total_steps=total,
                last_round=number == len(turns),
                weight_before=seen_this_round,
                previous_here=last_stop.get(site),
            )
            legs.append(Leg(index, (stop,)))
            last_stop[site] = index
            step += work.steps
            seen_this_round += work.slice_visits
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


def merge(leg: Leg, baton: Baton, returned: Sequence[Baton]) -> Baton:
    """The baton that goes on after a leg: the one returned, or the calibrated one of all sites."""
    if leg.task == "calibrate":
        return calibrated(baton, [r.part(SUMS) for r in returned])
    (only,) = returned
    return only


def calibrated(baton: Baton, sums: Sequence[Arrays]) -> Baton:
    """The model with BatchNorm statistics from the sums of all sites together.

    Each element of `sums` holds for every BatchNorm layer ``<layer>.count``, ``<layer>.sum`` and
    ``<layer>.sum_of_squares`` (float64, one value a channel). The variance is the unbiased one, as
    PyTorch keeps it. Where an average travels, it is the model that is calibrated and goes home.
    """
    average = baton.part(AVERAGE)
    model = {**baton.part(MODEL), **average}
    for key in sums[0]:
        if not key.endswith(".count"):
            continue
        layer = key.removesuffix(".count")
        count, total, squares = (
            np.sum([site[f"{layer}.{what}"] for site in sums], axis=0)
            for what in ("count", "sum", "sum_of_squares")
        )
        mean = total / count
        variance = np.maximum(squares - count * mean**2, 0.0) / np.maximum(count - 1, 1)
        model[f"{layer}.running_mean"] = mean.astype(np.float32)
        model[f"{layer}.running_var"] = variance.astype(np.float32)
    return join(model=model)


def final_model(baton: Baton) -> Arrays:
    """The weights that predict: the average where one travels, else the last hand-over's."""
    return {**baton.part(MODEL), **baton.part(AVERAGE)}

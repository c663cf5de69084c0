"""How much a site does in one visit, and how it is shared out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roundelay.data.survey import TRAIN, SiteSurvey
from roundelay.errors import DataError, StudyError
from roundelay.study.sections import Recipe
from roundelay.study.study import Study


@dataclass(frozen=True, slots=True)
class VisitWork:
    """What a site does in one visit: slices to draw from, slice-visits, steps."""

    slices: tuple[tuple[str, int], ...]
    slice_visits: int
    steps: int

    @property
    def size(self) -> int:
        return sum(count for _, count in self.slices)


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


def visit_work(recipe: Recipe, site: str, slices: Mapping[str, int]) -> VisitWork:
    """One visit's work: proportional to the site's slices, or the same at every site."""
    own, sites, batch = slices[site], len(slices), recipe.batch
    if recipe.steps is not None:
        steps = recipe.steps
        if recipe.work == "proportional":
            steps = share(steps * sites, list(slices.values()))[list(slices).index(site)]
        return VisitWork(((site, own),), steps * batch, steps)
    epochs = recipe.epochs or 1
    visits = epochs * own
    if recipe.work == "equal":
        total = epochs * sum(slices.values())
        position = list(slices).index(site)
        visits = total // sites + (position < total % sites)
    return VisitWork(((site, own),), visits, -(-visits // batch))


def times(work: VisitWork, rounds: int) -> VisitWork:
    return VisitWork(work.slices, work.slice_visits * rounds, work.steps * rounds)


def share(total: int, weights: Sequence[int]) -> list[int]:
    """Cut `total` into whole parts in proportion to `weights` (largest remainder), none empty.

    Raises ValueError where there are fewer units than parts.
    """
    if total < len(weights):
        raise ValueError(f"{total} can't be shared among {len(weights)}")
    sum_weights = sum(weights)
    parts = [total * weight // sum_weights for weight in weights]
    remainders = [-(total * weight % sum_weights) for weight in weights]
    for i in sorted(range(len(parts)), key=lambda i: (remainders[i], i))[: total - sum(parts)]:
        parts[i] += 1
    while 0 in parts:
        parts[parts.index(max(parts))] -= 1
        parts[parts.index(0)] += 1
    return parts

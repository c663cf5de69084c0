"""What one visit works on, and what it comes to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from roundelay.data.opening import training_slices
from roundelay.learning.augment import Augmentation
from roundelay.learning.draws import Pair, batches, choose_slices, seed_of
from roundelay.learning.fisher import SLICES
from roundelay.learning.inputs import Batch, prepared
from roundelay.plan.itinerary import Stop
from roundelay.relay.baton import Baton
from roundelay.site.opening import LocalSite


@dataclass(frozen=True, slots=True)
class WorkDone:
    """The digest of what was loaded, the baton to hand on, and the mean loss where one trained."""

    received: str
    returned: Baton
    loss: float | None = None


def batches_of(site: LocalSite, stop: Stop) -> Iterable[Batch]:
    """The batches of a stop: all of their randomness comes from the stop."""
    study, seed = site.study, _seed_of(site, stop)
    draws = _draws(site, stop, visits=stop.slice_visits, steps=stop.steps, seed=seed)
    names = study.data.channel_names
    augmentation = Augmentation(
        flip_up_down=study.recipe.mirror == "both",
        channel_dropout=study.recipe.channel_dropout,
        dropped_together=tuple(
            tuple(names.index(name) for name in together)
            for together in study.recipe.dropped_together
        ),
        flair=_flair(names),
        neighbours=study.data.neighbours,
    )
    settings = augmentation if study.recipe.augment else None
    generator = torch.Generator().manual_seed(seed)
    return prepared(draws, site.patients, site.cache, settings, generator)


def single_slices(site: LocalSite, stop: Stop) -> Iterable[Batch]:
    """Some of a stop's slices, drawn as for training, one by one and not augmented."""
    count = min(SLICES, stop.slice_visits)
    seed = _seed_of(site, stop, "importance")
    draws = _draws(site, stop, visits=count, steps=count, seed=seed)
    return prepared(draws, site.patients, site.cache, None, torch.Generator())


def _seed_of(site: LocalSite, stop: Stop, *what: str) -> int:
    """Of a stop; where a run goes on from another one, other draws than that one's."""
    before = [site.study.model.goes_on_from] if site.study.model.goes_on_from else []
    return seed_of(stop.seed, stop.arm, stop.site, stop.index, *what, *before)


def _draws(
    site: LocalSite, stop: Stop, *, visits: int, steps: int, seed: int
) -> Iterator[list[Pair]]:
    slices, share = _slices_of(site, stop), site.study.recipe.positive_share
    return batches(
        slices,
        [site.patients[i].tumour[j] for i, j in slices],
        visits=visits,
        steps=steps,
        positive_share=None if share == "natural" else share,
        seed=seed,
    )


def _flair(channels: Sequence[str]) -> int | None:
    names = [name.lower() for name in channels]
    return names.index("flair") if "flair" in names else None


def _slices_of(site: LocalSite, stop: Stop) -> list[Pair]:
    """The slices that the stop draws from: several sites' where all are pooled."""
    study, available = site.study, training_slices(site.patients, site.study.data)
    return [
        pair
        for name, count in stop.slices
        for pair in choose_slices(
            [(i, j) for i, j in available if site.patients[i].site == name],
            count,
            name,
            study.data.split_seed,
        )
    ]

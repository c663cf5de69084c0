"""One visit at a site: load, digest what was loaded, train or recalibrate, pack, receipt."""

import time
from collections.abc import Iterable

import torch

from roundelay.data.opening import training_slices
from roundelay.data.survey import TRAIN
from roundelay.files.arrays import Arrays
from roundelay.learning.augment import Augmentation
from roundelay.learning.average import Average
from roundelay.learning.batchnorm import statistics_sums
from roundelay.learning.draws import batches, choose_slices, seed_of
from roundelay.learning.fedprox import pull_of
from roundelay.learning.fit import fit
from roundelay.learning.inputs import Batch, prepared
from roundelay.learning.optimiser import load_optimiser, make_optimiser, optimiser_arrays
from roundelay.learning.state import load_model, model_arrays
from roundelay.plan.itinerary import Stop
from roundelay.plan.progress import OnStep
from roundelay.relay.baton import AVERAGE, MODEL, OPTIMISER, Baton, digest_of_parts, join
from roundelay.relay.courier import Visit
from roundelay.relay.receipt import Receipt
from roundelay.site.opening import LocalSite
from roundelay.site.optimiser_state import keep_state, kept_state


def train(local_site: LocalSite, stop: Stop, baton: Baton, on_step: OnStep) -> Visit:
    """One visit: load, digest what was *loaded*, work, pack, sign with a receipt."""
    begin = time.perf_counter()
    if stop.task == "recalibrate":
        received, returned = _recalibrate(local_site, stop, baton)
        return _visit(local_site, stop, baton, received, returned, None, begin)
    received, returned, loss = _train(local_site, stop, baton, on_step)
    return _visit(local_site, stop, baton, received, returned, loss, begin)


def _recalibrate(local_site: LocalSite, stop: Stop, baton: Baton) -> tuple[str, Baton]:
    parts = baton.arrays()
    model = local_site.machine.place(
        load_model(local_site.study.model.encoder, _part(parts, MODEL))
    )
    received = Baton.of(parts).digest
    model.load_state_dict(_tensors({**_part(parts, MODEL), **_part(parts, AVERAGE)}))
    return received, join(
        sums=statistics_sums(model, _batches(local_site, stop), local_site.machine)
    )


def _train(
    local_site: LocalSite, stop: Stop, baton: Baton, on_step: OnStep
) -> tuple[str, Baton, float]:
    recipe, travels = local_site.study.recipe, local_site.study.recipe.optimiser_state == "travel"
    parts = baton.arrays()
    model = local_site.machine.place(
        load_model(local_site.study.model.encoder, _part(parts, MODEL))
    )
    optimiser = make_optimiser(recipe, model)
    stayed = kept_state(local_site, stop)
    load_optimiser(model, optimiser, stayed or _part(parts, OPTIMISER))
    average = Average(recipe, stop, model, _part(parts, AVERAGE))
    del parts, stayed  # as large as all that was loaded from them
    # From the loaded model, not the wire: a site that keeps its own weights must not pass.
    received = digest_of_parts(
        model=model_arrays(model),
        optimiser=optimiser_arrays(model, optimiser) if travels else {},
        average=average.arrays(),
    )
    loss = fit(
        model,
        optimiser,
        _batches(local_site, stop),
        stop=stop,
        recipe=recipe,
        machine=local_site.machine,
        after_backward=pull_of(stop.arm, model, recipe.fedprox_mu),
        after_step=average.after_step,
        on_step=on_step,
    )
    average.after_visit()
    model.zero_grad(set_to_none=True)
    state = {} if recipe.optimiser_state == "reset" else optimiser_arrays(model, optimiser)
    if recipe.optimiser_state == "stay":
        keep_state(local_site, stop, state)
    returned = join(
        model=model_arrays(model), optimiser=state if travels else {}, average=average.arrays()
    )
    return received, returned, loss


def _batches(local_site: LocalSite, stop: Stop) -> Iterable[Batch]:
    study, seed = local_site.study, seed_of(stop.seed, stop.arm, stop.site, stop.index)
    available = training_slices(local_site.patients, study.data)
    slices = [
        pair
        for site, count in stop.slices
        for pair in choose_slices(
            [(i, j) for i, j in available if local_site.patients[i].site == site],
            count,
            site,
            study.data.split_seed,
        )
    ]
    share = study.recipe.positive_share
    draws = batches(
        slices,
        [local_site.patients[i].tumour[j] for i, j in slices],
        visits=stop.slice_visits,
        steps=stop.steps,
        positive_share=None if share == "natural" else share,
        seed=seed,
    )
    settings = (
        Augmentation(channel_dropout=study.recipe.channel_dropout) if study.recipe.augment else None
    )
    generator = torch.Generator().manual_seed(seed)
    return prepared(draws, local_site.patients, local_site.cache, settings, generator)


def _visit(
    local_site: LocalSite,
    stop: Stop,
    sent: Baton,
    received: str,
    returned: Baton,
    loss: float | None,
    begin: float,
) -> Visit:
    receipt = Receipt(
        stop=stop.index,
        site=stop.site,
        round=stop.round,
        task=stop.task,
        received=received,
        returned=returned.digest,
        patients=sum(p.split == TRAIN for p in local_site.patients),
        slices=stop.slice_count,
        slice_visits=stop.slice_visits,
        steps=stop.steps,
        loss=loss,
        seconds=round(time.perf_counter() - begin, 3),
        sent_bytes=len(sent.data),
        returned_bytes=len(returned.data),
        machine=str(local_site.machine),
    )
    return Visit(receipt, returned)


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}

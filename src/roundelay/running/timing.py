"""How long a study will take here: one step and one hand-over, timed."""

import sys
import time
from collections.abc import Sequence

import psutil
import torch
from torch import nn

from roundelay.learning.fisher import SLICES, fisher
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.inputs import Batch
from roundelay.learning.machine import Machine
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import Adam, optimiser_arrays
from roundelay.learning.remembering import Remembering
from roundelay.learning.state import as_array, load_model, model_arrays
from roundelay.plan.arms import Arm
from roundelay.plan.cost import Cost
from roundelay.plan.itinerary import Stop
from roundelay.relay.baton import MODEL, digest_of_parts, join, narrow_names
from roundelay.study.sections import Recipe, Wire
from roundelay.study.study import Study

STEPS = 4
"""Steps that are made to time the last of them: in the first ones memory is still asked for."""


def measure(study: Study, arms: Sequence[Arm], machine: Machine) -> Cost:
    """Time one step after a warm-up of several, on empty images of the study's size, and a visit's
    packing and unpacking; a few seconds."""
    recipe, size = study.recipe, study.data.size
    model = build_network(*study.network, seed=0)
    baton_bytes = _weight_bytes(model, recipe.wire)
    model = machine.place(model)
    optimiser = Adam(recipe, model)
    batch = (
        torch.zeros(recipe.batch, study.network.channels, size, size),
        torch.zeros(recipe.batch, study.network.regions, size, size),
    )
    relays = [s for arm in arms for leg in arm.legs for s in leg.stops if s.in_relay]
    name = relays[0].arm if relays else "check"
    stop = Stop(name, 0, 0, 1, "check", "train", (("check", 1),), recipe.batch, 1, 0, 1)
    remembering = Remembering(recipe, stop, model, {}, hands_on=True)
    seconds = 0.0
    for _ in range(STEPS):
        begin = time.perf_counter()
        fit(
            model,
            optimiser,
            [batch],
            stop=stop,
            recipe=recipe,
            machine=machine,
            hooks=Hooks(remembering.after_backward, remembering.after_step),
        )
        seconds = time.perf_counter() - begin
    rate = recipe.batch / seconds
    visits = sum(arm.slice_visits for arm in arms)
    peak = peak_memory()
    stops = sum(len(leg.stops) for arm in arms for leg in arm.legs)
    travels = recipe.importance_travels and bool(relays)
    handovers = stops * _handover_seconds(study, model, optimiser, importance=travels)
    if travels and recipe.remember == "ewc":
        trained = sum(stop.task == "train" for stop in relays)
        handovers += trained * _fisher_seconds(recipe, model, batch, machine)
    return Cost(visits / rate + handovers, rate, peak, baton_bytes)


def _weight_bytes(model: nn.Module, wire: Wire) -> int:
    arrays = {f"{MODEL}{name}": array for name, array in model_arrays(model).items()}
    narrow = narrow_names(arrays, wire)
    return sum(a.nbytes // 2 if name in narrow else a.nbytes for name, a in arrays.items())


def peak_memory() -> int:
    """Bytes of memory that this process held at most so far."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _fisher_seconds(recipe: Recipe, model: nn.Module, batch: Batch, machine: Machine) -> float:
    """What it takes to look once more at some of a visit's slices; one is timed."""
    images, masks = batch
    begin = time.perf_counter()
    weights = dict(model.named_parameters())
    fisher(model, weights, [(images[:1], masks[:1])], recipe.loss, machine)
    return SLICES * (time.perf_counter() - begin)


def _handover_seconds(
    study: Study, model: nn.Module, optimiser: Adam, *, importance: bool
) -> float:
    """What a visit costs beside its steps: pack, digest, load and digest again; not the disk."""
    begin = time.perf_counter()
    travels = study.recipe.optimiser_state == "travel"
    weights = model.named_parameters() if importance else ()  # of the size of their importance
    parts = {
        "optimiser": optimiser_arrays(optimiser) if travels else {},
        "importance": {name: as_array(weight) for name, weight in weights},
    }
    wire = study.recipe.wire
    baton = join(wire, model=model_arrays(model), **parts)
    loaded = load_model(study.network, baton.part(MODEL))
    _ = baton.digest, digest_of_parts(wire, model=model_arrays(loaded), **parts)
    return time.perf_counter() - begin

"""What a study will cost and where its way is weakest, known before training."""

import resource
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from roundelay.arms import Arm
from roundelay.baton import MODEL, digest_of_parts, join
from roundelay.errors import DiskFullError
from roundelay.itinerary import Stop
from roundelay.learning.fit import fit
from roundelay.learning.precision import Machine
from roundelay.learning.state import (
    load_model,
    make_optimiser,
    model_arrays,
    optimiser_arrays,
)
from roundelay.learning.unet import build_unet
from roundelay.study import Study
from roundelay.survey import TRAIN, SiteSurvey

STEPS = 4
"""Steps that are made to time the last of them: in the first ones memory is still asked for."""
KEPT = 3
"""Batons and models an arm leaves on the disk at most, when only the last ones are kept."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for all arms' training and hand-overs, measured on one step and one packing; peak
    memory of that step, in bytes."""

    seconds: float
    slices_per_second: float
    memory: int
    baton_bytes: int


def measure(study: Study, arms: Sequence[Arm], machine: Machine) -> Cost:
    """Time one step after a warm-up of several, on empty images of the study's size, and a visit's
    packing and unpacking; a few seconds."""
    recipe, size = study.recipe, study.data.size
    model = build_unet(study.model.encoder, seed=0)
    baton_bytes = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    model = machine.place(model)
    optimiser = make_optimiser(recipe, model)
    batch = torch.zeros(recipe.batch, 3, size, size), torch.zeros(recipe.batch, 1, size, size)
    stop = Stop("check", 0, 0, 1, "check", "train", (("check", 1),), recipe.batch, 1, 0, 1)
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
            after_backward=lambda: None,
            after_step=lambda: None,
            on_step=lambda _: None,
        )
        seconds = time.perf_counter() - begin
    rate = recipe.batch / seconds
    visits = sum(arm.slice_visits for arm in arms)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    stops = sum(len(leg.stops) for arm in arms for leg in arm.legs)
    handovers = stops * _handover_seconds(study, model, optimiser)
    return Cost(visits / rate + handovers, rate, peak, baton_bytes)


def _handover_seconds(study: Study, model: nn.Module, optimiser: torch.optim.Optimizer) -> float:
    """What a visit costs beside its steps: pack, digest, load and digest again; not the disk."""
    begin = time.perf_counter()
    travels = study.recipe.optimiser_state == "travel"
    parts = {"optimiser": optimiser_arrays(model, optimiser) if travels else {}}
    baton = join(model=model_arrays(model), **parts)
    loaded = load_model(study.model.encoder, baton.part(MODEL))
    _ = baton.digest, digest_of_parts(model=model_arrays(loaded), **parts)
    return time.perf_counter() - begin


def check_room(out: Path, arms: Sequence[Arm], baton_bytes: int, *, keep_all: bool) -> None:
    """Raise DiskFullError where the run folder will not fit on the disk."""
    copies = sum((len(arm.legs) if keep_all else KEPT) + 1 for arm in arms)
    above = next(p for p in (out, *out.absolute().parents) if p.exists())
    free, needed = shutil.disk_usage(above).free, copies * baton_bytes
    if needed > free:
        raise DiskFullError(
            f"The run needs about {needed / 1e9:.1f} GB at {out}; {free / 1e9:.1f} GB are free."
            " Nothing was written. Make room or choose another --out."
        )


def weak_places(arms: Sequence[Arm], surveys: Mapping[str, SiteSurvey]) -> list[str]:
    """Sites with one training patient, and where on the way that patient is least hidden."""
    notices = []
    for site, survey in surveys.items():
        if sum(survey.patients.values()) == 1:
            notices.append(
                f"{site} has one patient, used for training: its own Dice can't be known."
            )
        if survey.patients[TRAIN] != 1:
            continue
        for arm in arms:
            if places := exposed(arm, site):
                notices.append(
                    f"{site} trains on one patient and stands {' and '.join(places)} in"
                    f" {arm.label}: whoever holds the model from before and from after this visit"
                    " can compute what that one patient changed. Move it inwards with site_order."
                )
    return notices


def exposed(arm: Arm, site: str) -> list[str]:
    """Where a site of a relay is least hidden.

    First: the start weights are known to all. Last: so is the final model. At the turn: the
    neighbour before it is the neighbour after it, and holds both models.
    """
    if arm.name not in ("cwt", "swt"):
        return []
    way = [leg.stops[0].site for leg in arm.legs if leg.task == "train"]
    visits = [name for i, name in enumerate(way) if i == 0 or name != way[i - 1]]
    at_turn = any(
        visits[i] == site and visits[i - 1] == visits[i + 1] for i in range(1, len(visits) - 1)
    )
    places = {"first": way[0] == site, "last": way[-1] == site, "at the turn": at_turn}
    return [place for place, so in places.items() if so]

"""BatchNorm recalibration at one site: nothing trains, the site gives its sums."""

import numpy as np
import torch
from torch import nn

from roundelay.errors import VisitError
from roundelay.files.arrays import Arrays
from roundelay.learning.batchnorm import statistics_sums
from roundelay.learning.state import load_model, model_arrays
from roundelay.plan.itinerary import Stop
from roundelay.relay.aggregation import added, with_statistics
from roundelay.relay.baton import (
    AVERAGE,
    IMPORTANCE,
    MODEL,
    OPTIMISER,
    SUMS,
    Baton,
    digest_of_parts,
    join,
    part_of,
)
from roundelay.relay.fitting import unlike_sums
from roundelay.site.opening import LocalSite
from roundelay.site.soundness import arrived, refuse_infinite
from roundelay.site.work import WorkDone, batches_of


def recalibrate(site: LocalSite, stop: Stop, baton: Baton) -> WorkDone:
    """The sums of every BatchNorm layer's input over the stop's batches.

    Where an average travels, they are those of the averaged network. Raises VisitError where they
    aren't finite.
    """
    model, received = _loaded(site, arrived(baton, stop))
    sums = statistics_sums(model, batches_of(site, stop), site.machine)
    refuse_infinite(stop, site.study.recipe, sums=sums)
    return WorkDone(received, join(sums=sums))


def recalibrate_in_turn(site: LocalSite, stop: Stop, baton: Baton) -> WorkDone:
    """The model and the sums of the sites before it, with this site's own added; at the last site
    the model with the statistics of all: to the bit what comes of `recalibrate` side by side.

    Of what travelled with the model only an average stays, in its place. Raises VisitError where
    the sums that came can't be those of the slices before, or where they aren't finite.
    """
    parts, wire = arrived(baton, stop), site.study.recipe.wire
    model, received = _loaded(site, parts)
    sums = statistics_sums(model, batches_of(site, stop), site.machine)
    predicts, before = part_of(parts, MODEL) | part_of(parts, AVERAGE), part_of(parts, SUMS)
    if fault := _wrong_sums(stop, before, sums, predicts):
        raise VisitError(
            f"{stop} was sent sums of BatchNorm layers that can't be used: {fault}. Nothing was"
            " done with them. Look at the hospitals that recalibrated before this one."
        )
    sums = added(before, sums) if before else sums
    refuse_infinite(stop, site.study.recipe, sums=sums)
    if stop.ends_schedule:
        return WorkDone(received, join(wire, model=with_statistics(predicts, sums)))
    return WorkDone(received, join(wire, model=predicts, sums=sums))


def _loaded(site: LocalSite, parts: Arrays) -> tuple[nn.Module, str]:
    """The network that predicts, and the digest of what came."""
    average = part_of(parts, AVERAGE)
    model = site.machine.place(load_model(site.study.network, part_of(parts, MODEL)))
    weights, loaded = model_arrays(model), {}
    if average:
        weights = {name: array.copy() for name, array in weights.items()}
        averaged = {**weights, **average}
        model.load_state_dict(
            {name: torch.from_numpy(np.array(array)) for name, array in averaged.items()}
        )
        now = model_arrays(model)
        loaded = {name: now[name] for name in average}
    # From the loaded model, not the wire, as in training; what serves training is not loaded here.
    received = digest_of_parts(
        site.study.recipe.wire,
        model=weights,
        optimiser=part_of(parts, OPTIMISER),
        average=loaded,
        importance=part_of(parts, IMPORTANCE),
        sums=part_of(parts, SUMS),
    )
    return model, received


def _wrong_sums(stop: Stop, before: Arrays, own: Arrays, model: Arrays) -> str | None:
    """What about the sums that came is not as planned; None where all is."""
    if not stop.weight_before:
        return "none were to come to the first one" if before else None
    if fault := unlike_sums(before, model):
        return fault
    if before.keys() != own.keys():
        return "they are of other layers"
    for name, count in own.items():
        # A layer has equally many values for every slice.
        if (
            name.endswith(".count")
            and not (before[name] * stop.slice_visits == count * stop.weight_before).all()
        ):
            return f"{name} is not that of the {stop.weight_before} slices before this site's"
    return None

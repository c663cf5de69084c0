"""BatchNorm recalibration at one site: nothing trains, the site gives its sums."""

import torch

from roundelay.learning.batchnorm import statistics_sums
from roundelay.learning.state import load_model, model_arrays
from roundelay.plan.itinerary import Stop
from roundelay.relay.baton import (
    AVERAGE,
    IMPORTANCE,
    MODEL,
    OPTIMISER,
    Baton,
    digest_of_parts,
    join,
    part_of,
)
from roundelay.site.opening import LocalSite
from roundelay.site.soundness import arrived, refuse_infinite
from roundelay.site.work import WorkDone, batches_of


def recalibrate(site: LocalSite, stop: Stop, baton: Baton) -> WorkDone:
    """The sums of every BatchNorm layer's input over the stop's batches.

    Where an average travels, they are those of the averaged network. Raises VisitError where they
    aren't finite.
    """
    parts = arrived(baton, stop)
    average = part_of(parts, AVERAGE)
    model = site.machine.place(load_model(site.study.network, part_of(parts, MODEL)))
    weights, loaded = model_arrays(model), {}
    if average:
        weights = {name: array.copy() for name, array in weights.items()}
        averaged = {**weights, **average}
        model.load_state_dict({name: torch.from_numpy(array) for name, array in averaged.items()})
        now = model_arrays(model)
        loaded = {name: now[name] for name in average}
    # From the loaded model, not the wire, as in training; what serves training is not loaded here.
    received = digest_of_parts(
        model=weights,
        optimiser=part_of(parts, OPTIMISER),
        average=loaded,
        importance=part_of(parts, IMPORTANCE),
    )
    sums = statistics_sums(model, batches_of(site, stop), site.machine)
    refuse_infinite(stop, site.study.recipe, sums=sums)
    return WorkDone(received, join(sums=sums))

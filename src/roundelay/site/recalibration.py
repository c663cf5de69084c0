"""BatchNorm recalibration at one site: nothing trains, the site gives its sums."""

import torch

from roundelay.learning.batchnorm import statistics_sums
from roundelay.learning.state import load_model
from roundelay.plan.itinerary import Stop
from roundelay.relay.baton import AVERAGE, MODEL, Baton, join
from roundelay.site.opening import LocalSite
from roundelay.site.work import WorkDone, batches_of


def recalibrate(site: LocalSite, stop: Stop, baton: Baton) -> WorkDone:
    """The sums of every BatchNorm layer's input over the stop's batches.

    Where an average travels, they are those of the averaged network.
    """
    model = site.machine.place(load_model(site.study.model.encoder, baton.part(MODEL)))
    received = Baton.of(baton.arrays()).digest  # of the baton as it came
    arrays = {**baton.part(MODEL), **baton.part(AVERAGE)}
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return WorkDone(
        received, join(sums=statistics_sums(model, batches_of(site, stop), site.machine))
    )

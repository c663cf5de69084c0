"""How a baton reaches a site and comes back."""

from pathlib import Path

from roundelay.learning.machine import Machine
from roundelay.plan.progress import OnStep
from roundelay.relay.courier import Courier
from roundelay.study.study import Study


def open_courier(study: Study, *, home: Path, machine: Machine, on_step: OnStep) -> Courier:
    """The courier that the study names. `home` is where sites keep what stays with them.

    Raises DataError for faults of the data, MissingExtraError where Ray is wanted but missing.
    """
    if study.courier.kind == "cluster":
        from roundelay.couriers.ray.courier import ClusterCourier

        return ClusterCourier(study, home=home, machine=machine, on_step=on_step)
    from roundelay.couriers.here import HereCourier

    return HereCourier(study, home=home, machine=machine, on_step=on_step)

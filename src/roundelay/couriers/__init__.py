"""How a baton reaches a site and comes back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from roundelay.plan.progress import OnStep
from roundelay.relay.courier import Courier
from roundelay.study.study import Study

if TYPE_CHECKING:
    from roundelay.learning.machine import Machine


def open_courier(study: Study, *, home: Path, machine: "Machine", on_step: OnStep) -> Courier:
    """The courier that the study names. `home` is where sites keep what stays with them.

    Raises DataError for faults of the data, MissingExtraError where Ray is wanted but missing.
    """
    if study.courier.kind == "cluster":
        from roundelay.couriers.ray.courier import ClusterCourier

        return ClusterCourier(study, home=home, machine=machine, on_step=on_step)
    from roundelay.couriers.here import HereCourier

    return HereCourier(study, home=home, machine=machine, on_step=on_step)


@contextmanager
def ahead(study: Study) -> Iterator[None]:
    """What a study's courier needs long to start comes up now, before PyTorch is imported.

    Ray on this machine, and with it a worker. Raises MissingExtraError, CourierError.
    """
    if study.courier.kind != "cluster" or study.courier.address:
        yield
        return
    from roundelay.couriers.ray.ahead import started_ahead

    with started_ahead():
        yield

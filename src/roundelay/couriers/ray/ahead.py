"""Ray starts, and a worker in it, while the driver still imports PyTorch: they use two cores."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from roundelay.couriers.ray.start import import_ray, start
from roundelay.couriers.ray.worker import Worker

NAME = "roundelay-ahead"
"""Under which Ray knows the worker, for the courier that takes it over."""


def worker_in(ray: Any, **reserved: Any) -> Any:
    """The kind of worker that reserves this."""
    return ray.remote(concurrency_groups={"watch": 1}, **reserved)(Worker)


def taken_over(ray: Any) -> Any:
    """The worker that was started ahead; None where there is none."""
    try:
        return ray.get_actor(NAME)
    except ValueError:
        return None


@contextmanager
def started_ahead() -> Iterator[None]:
    """Ray runs on this machine, with a worker that comes up, until the context is left."""
    ray = import_ray(None)
    ours = not ray.is_initialized()
    try:
        if ours:
            start(ray, None)
            if not ray.cluster_resources().get("GPU"):  # which worker gets one is decided later
                worker_in(ray, num_cpus=0).options(name=NAME).remote()
        yield
    finally:
        if ours:
            ray.shutdown()

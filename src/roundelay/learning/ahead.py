"""Batches made ahead of the step that takes them, in a thread beside it."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from roundelay.learning.inputs import Batch
from roundelay.learning.machine import Machine

AHEAD = 3
"""Batches that wait at most."""


def ahead(batches: Iterable[Batch], machine: Machine) -> Iterator[Batch]:
    """The same batches in the same order; what making one raises is raised where it is taken.

    On a GPU the processor reads and augments while a step is computed. On a processor both would
    share its cores, and would wait for one another: there they are made one by one.
    """
    return iter(batches) if machine.device == "cpu" else _in_a_thread(iter(batches))


def _in_a_thread(source: Iterator[Batch]) -> Iterator[Batch]:
    waiting: deque[Future[Batch | None]] = deque()
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            for _ in range(AHEAD):
                waiting.append(pool.submit(next, source, None))
            while (batch := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, source, None))
                yield batch
        finally:
            for one in waiting:
                one.cancel()

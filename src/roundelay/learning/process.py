"""Settings of a whole process: threads, deterministic algorithms, the allocator.

Only entry points touch them. A process that is ours until it ends (a worker, a site's) is set up
for good; a call that may come from somebody's notebook puts back what it changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from roundelay.learning.cpu.heap import keep_freed_memory


@contextmanager
def computing(threads: int | None, *, deterministic: bool) -> Iterator[None]:
    """Compute with these settings, then put back what was found, also after an error.

    Without `threads` their number stays; without `deterministic` what is set stays.
    """
    found_threads, found_mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    try:
        if threads:
            torch.set_num_threads(threads)
        if deterministic:
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        if threads:
            torch.set_num_threads(found_threads)
        if deterministic:
            torch.set_deterministic_debug_mode(found_mode)


def set_up_process(threads: int, *, deterministic: bool) -> None:
    """Settings for good, of a process that is ours. Threads hold for the thread that calls."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)

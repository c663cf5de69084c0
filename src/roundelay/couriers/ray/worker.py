"""What runs in a worker process, and what passes between it and the driver.

Nothing that computes is imported here: where Ray starts ahead of a run, a worker is called for by
a driver that hasn't imported PyTorch yet, and both import it side by side.
"""

import gc
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from roundelay.data.patients import Patient
from roundelay.errors import RoundelayError
from roundelay.plan.progress import Step
from roundelay.study.study import Study

if TYPE_CHECKING:
    from roundelay.learning.machine import Machine

Bytes = NDArray[np.uint8]
"""A baton's bytes as Ray passes them by reference: those of the object store, not a copy."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all turns of a study have in common; `machine` is the driver's, `device` what to take
    in a worker: ``auto`` for what there is."""

    study: Study
    home: Path
    machine: "Machine"
    device: str
    threads: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn comes to. An error raised on purpose is its class and its text: Ray would
    wrap it beyond recognition."""

    value: Any
    steps: list[Step]
    error: type[RoundelayError] | None = None


class Worker:
    """Takes one turn at a time, of any site, and keeps nothing of it."""

    def __init__(self) -> None:
        from roundelay.couriers.ray import turns

        self._turns, self._steps = turns, deque[Step]()
        self._begun = set[str]()

    def process(self) -> int:
        """The number of the process, once it is there."""
        return os.getpid()

    def steps(self) -> list[Step]:
        """The steps since the last question; it is answered while a visit goes on."""
        return [self._steps.popleft() for _ in range(len(self._steps))]

    def take(
        self, verb: str, setting: Setting, site: str, patients: tuple[Patient, ...], *given: Any
    ) -> tuple[Answer, Bytes | None]:
        """Take a turn of a site; its answer, and the baton that it returns."""
        turn = self._turns.Turn(setting, site, patients, self._steps.append)
        value, data, error = self._turns.taken(turn, verb, given)
        del turn
        gc.collect()
        if verb not in self._begun:
            # What the first one imported stays: letting go of the next needn't look through it.
            gc.freeze()
            self._begun.add(verb)
        return Answer(value, self.steps(), error), data


def viewed(data: Bytes) -> bytes:
    """The same memory as what `Baton` reads."""
    return cast(bytes, data.data)

"""What runs in a worker process: one site's turn after another, and nothing of it is kept."""

import gc
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from roundelay.data.patients import Patient
from roundelay.data.slice_cache import SliceCache, slices_folder
from roundelay.errors import DataError, RoundelayError
from roundelay.files.mishap import explained
from roundelay.learning.machine import Machine, find_device, machine_on
from roundelay.learning.model_file import inference_settings_of
from roundelay.learning.process import set_up_process
from roundelay.plan.itinerary import Stop
from roundelay.plan.progress import Step
from roundelay.relay.baton import Baton
from roundelay.site.evaluation import evaluate, opened_model, threshold_dices
from roundelay.site.opening import LocalSite, at_hand, open_local_site, survey
from roundelay.site.visit import train
from roundelay.study.study import Study

Bytes = NDArray[np.uint8]
"""A baton's bytes as Ray passes them by reference: those of the object store, not a copy."""


def viewed(data: Bytes) -> bytes:
    """The same memory as what `Baton` reads."""
    return cast(bytes, data.data)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all turns of a study have in common; `machine` is the driver's, `device` what to take
    here: ``auto`` for what there is."""

    study: Study
    home: Path
    machine: Machine
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
    """What runs in a worker process.

    A turn is told of one site and of its patients alone, and opens no others. Once it is over,
    patients, slices and network are let go of.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._steps: deque[Step] = deque()
        # What was imported stays: letting go of a turn need not look through all of it.
        gc.freeze()

    def process(self) -> int:
        """The number of the process, once it is there."""
        return os.getpid()

    def steps(self) -> list[Step]:
        """The steps since the last question; it is answered while a visit goes on."""
        return [self._steps.popleft() for _ in range(len(self._steps))]

    def survey(self, site: str, patients: tuple[Patient, ...]) -> tuple[Answer, None]:
        """The site's numbers, its patients opened, and what is wrong with them.

        The driver compares the patients of all sites, whose folders it found itself, and hands
        them over with the turns that follow.
        """

        def count() -> Any:
            study = self._setting.study
            try:
                opened = open_local_site(site, study, {site: patients}, **self._surroundings())
            except DataError as error:
                return None, (), error.faults
            return survey(opened), opened.patients, ()

        return self._turn(count), None

    def train(
        self, site: str, patients: tuple[Patient, ...], data: Bytes, stop: Stop
    ) -> tuple[Answer, Bytes | None]:
        """A visit's receipt, and its baton: the driver takes the digest of the bytes itself."""
        returned: list[bytes] = []

        def visit() -> Any:
            done = train(self._at(site, patients), stop, Baton(viewed(data)), self._steps.append)
            returned.append(done.baton.data)
            return done.receipt

        answer = self._turn(visit)
        return answer, np.frombuffer(returned.pop(), np.uint8) if returned else None

    def evaluate(
        self,
        site: str,
        patients: tuple[Patient, ...],
        data: Bytes,
        split: str,
        thresholds: tuple[float, ...] = (),
    ) -> tuple[Answer, None]:
        """Scores of the site's patients of one split."""
        return self._turn(
            lambda: evaluate(self._at(site, patients), Baton(viewed(data)), split, thresholds)
        ), None

    def threshold_dices(
        self, site: str, patients: tuple[Patient, ...], data: Bytes
    ) -> tuple[Answer, None]:
        """The site's validation patients' Dice at each threshold that can be chosen."""

        def measure() -> Any:
            local_site = self._at(site, patients)
            return threshold_dices(local_site, opened_model(local_site, Baton(viewed(data))))

        return self._turn(measure), None

    def _turn(self, work: Callable[[], Any]) -> Answer:
        study = self._setting.study
        # Here and not in __init__: threads hold for the thread that calls.
        set_up_process(self._setting.threads, deterministic=study.recipe.deterministic)
        try:
            return Answer(work(), self.steps())
        except Exception as error:
            # What the machine refuses is said as here, in the driver's process too.
            known = error if isinstance(error, RoundelayError) else explained(error)
            if known is None:
                raise
            return Answer(str(known), [], type(known))
        finally:
            gc.collect()
            torch.cuda.empty_cache()  # for the sites that wait for the same GPU

    def _at(self, site: str, patients: tuple[Patient, ...]) -> LocalSite:
        return at_hand(site, self._setting.study, patients, **self._surroundings())

    def _surroundings(self) -> dict[str, Any]:
        given = self._setting
        preprocessing = inference_settings_of(given.study).preprocessing
        return {
            "cache": SliceCache(preprocessing, slices_folder()),
            "machine": self._machine(),
            "home": given.home,
        }

    def _machine(self) -> Machine:
        """The driver's settings, on the device of this process."""
        given = self._setting.machine
        device = find_device(self._setting.device)
        if device == given.device:
            return given
        return machine_on(device, given.bfloat16, given.channels_last)

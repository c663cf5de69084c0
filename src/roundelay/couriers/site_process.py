"""The process of one site: it holds the site's patients and answers one question at a time."""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.data.sites import Sites
from roundelay.data.slice_cache import SliceCache, slices_folder
from roundelay.errors import RoundelayError
from roundelay.files.mishap import explained
from roundelay.learning.machine import Machine, find_device, machine_on
from roundelay.learning.model_file import inference_settings_of
from roundelay.learning.process import set_up_process
from roundelay.plan.itinerary import Stop
from roundelay.plan.progress import Step
from roundelay.relay.baton import Baton
from roundelay.site.evaluation import evaluate, opened_model, threshold_dices
from roundelay.site.opening import LocalSite, open_local_site, survey
from roundelay.site.visit import train
from roundelay.study.study import Study


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process returns. An error raised on purpose is its class and its text: Ray would
    wrap it beyond recognition."""

    value: Any
    steps: list[Step]
    error: type[RoundelayError] | None = None


class SiteProcess:
    """What runs in a site's own process."""

    def __init__(
        self,
        site: str,
        study: Study,
        sites: Sites,
        home: Path,
        machine: Machine,
        device: str,
        threads: int,
    ) -> None:
        """`machine` is the driver's; `device` is what to take here, ``auto`` what there is."""
        self._open, self._threads = (site, study, sites), threads
        self._machine, self._device, self._home = machine, device, home
        self._local_site: LocalSite | None = None
        self._steps: deque[Step] = deque()

    def process(self) -> int:
        """The number of the process, once it is there."""
        return os.getpid()

    def steps(self) -> list[Step]:
        """The steps since the last question; it is answered while a visit goes on."""
        return [self._steps.popleft() for _ in range(len(self._steps))]

    def survey(self) -> Answer:
        # With the patients: the driver compares those of all sites, whose folders it found itself.
        return self._answer(lambda local_site: (survey(local_site), local_site.patients))

    def train(self, data: bytes, stop: Stop) -> Answer:
        def visit(local_site: LocalSite) -> Any:
            done = train(local_site, stop, Baton(data), self._steps.append)
            return done.receipt, done.baton.data  # bytes: the driver takes their digest itself

        return self._answer(visit)

    def evaluate(self, data: bytes, split: str, thresholds: tuple[float, ...]) -> Answer:
        return self._answer(lambda local_site: evaluate(local_site, Baton(data), split, thresholds))

    def threshold_dices(self, data: bytes) -> Answer:
        return self._answer(
            lambda local_site: threshold_dices(local_site, opened_model(local_site, Baton(data)))
        )

    def _answer(self, work: Callable[[LocalSite], Any]) -> Answer:
        site, study, sites = self._open
        # Here and not in __init__: threads hold for the thread that calls.
        set_up_process(self._threads, deterministic=study.recipe.deterministic)
        try:
            if self._local_site is None:
                cache, machine = (
                    SliceCache(inference_settings_of(study).preprocessing, slices_folder()),
                    self._here(),
                )
                self._local_site = open_local_site(
                    site, study, sites, cache=cache, machine=machine, home=self._home
                )
            return Answer(work(self._local_site), self.steps())
        except Exception as error:
            # What the machine refuses is said as here, in the driver's process too.
            known = error if isinstance(error, RoundelayError) else explained(error)
            if known is None:
                raise
            return Answer(str(known), [], type(known))

    def _here(self) -> Machine:
        """The driver's settings, on the device of this process."""
        device = find_device(self._device)
        if device == self._machine.device:
            return self._machine
        return machine_on(device, self._machine.bfloat16, self._machine.channels_last)

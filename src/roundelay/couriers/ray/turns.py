"""Turns of sites in a worker process: survey, train, evaluate.

A turn is told of one site and of its patients alone, and opens no others. Once it is over,
patients, slices and network are let go of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from roundelay.couriers.ray.worker import Bytes, Setting, viewed
from roundelay.data.patients import Patient
from roundelay.data.slice_cache import SliceCache, slices_folder
from roundelay.errors import DataError, RoundelayError
from roundelay.files.mishap import explained
from roundelay.learning.machine import Machine, find_device, machine_on
from roundelay.learning.model_file import inference_settings_of
from roundelay.learning.process import set_up_process
from roundelay.plan.itinerary import Stop
from roundelay.plan.progress import OnStep
from roundelay.relay.baton import Baton
from roundelay.site.evaluation import evaluate, opened_model, threshold_dices
from roundelay.site.opening import LocalSite, at_hand, open_local_site, survey
from roundelay.site.visit import train
from roundelay.study.study import Study

Taken = tuple[Any, Bytes | None]
"""What a turn comes to, and the bytes of the baton that it returns."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One site's turn. `patients` are opened, but in a survey, which opens them."""

    setting: Setting
    site: str
    patients: tuple[Patient, ...]
    on_step: OnStep

    @property
    def study(self) -> Study:
        return self.setting.study

    def local_site(self) -> LocalSite:
        """The site, of which nothing is opened anew."""
        return at_hand(self.site, self.study, self.patients, **self.surroundings())

    def surroundings(self) -> dict[str, Any]:
        """What the computer has for a site to work with."""
        preprocessing = inference_settings_of(self.study).preprocessing
        return {
            "cache": SliceCache(preprocessing, slices_folder()),
            "machine": self._machine(),
            "home": self.setting.home,
        }

    def _machine(self) -> Machine:
        """The driver's settings, on the device of this process."""
        given = self.setting.machine
        device = find_device(self.setting.device)
        if device == given.device:
            return given
        return machine_on(device, given.bfloat16, given.channels_last)


def taken(
    turn: Turn, verb: str, given: Sequence[Any]
) -> tuple[Any, Bytes | None, type[RoundelayError] | None]:
    """What a turn comes to, its bytes, and which error on purpose ended it: then its text."""
    # At each turn: threads hold for the thread that calls.
    set_up_process(turn.setting.threads, deterministic=turn.study.recipe.deterministic)
    try:
        return *TURNS[verb](turn, *given), None
    except Exception as error:
        # What the machine refuses is said as here, in the driver's process too.
        known = error if isinstance(error, RoundelayError) else explained(error)
        if known is None:
            raise
        return str(known), None, type(known)
    finally:
        torch.cuda.empty_cache()  # for the sites that wait for the same GPU


def _survey(turn: Turn) -> Taken:
    """The site's numbers, its patients opened, and what is wrong with them.

    The driver compares the patients of all sites, whose folders it found itself, and hands them
    over with the turns that follow.
    """
    own = {turn.site: turn.patients}
    try:
        opened = open_local_site(turn.site, turn.study, own, **turn.surroundings())
    except DataError as error:
        return (None, (), error.faults), None
    return (survey(opened), opened.patients, ()), None


def _train(turn: Turn, data: Bytes, stop: Stop) -> Taken:
    """A visit's receipt, and its baton: the driver takes the digest of the bytes itself."""
    done = train(turn.local_site(), stop, Baton(viewed(data)), turn.on_step)
    return done.receipt, np.frombuffer(done.baton.data, np.uint8)


def _evaluate(turn: Turn, data: Bytes, split: str, thresholds: tuple[float, ...] = ()) -> Taken:
    return evaluate(turn.local_site(), Baton(viewed(data)), split, thresholds), None


def _threshold_dices(turn: Turn, data: Bytes) -> Taken:
    local_site = turn.local_site()
    return threshold_dices(local_site, opened_model(local_site, Baton(viewed(data)))), None


TURNS: Mapping[str, Callable[..., Taken]] = {
    "survey": _survey, "train": _train, "evaluate": _evaluate, "threshold_dices": _threshold_dices,
}  # fmt: skip

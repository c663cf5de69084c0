"""A worker process for each site, over Ray: one machine, its GPUs, or several machines.

A site's process opens the files of its own patients alone. A process that ends in the middle of
a visit loses that visit: it is started again and the visit tried again, to the same bytes,
because all of a visit's randomness comes from its stop.
"""

import math
import os
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from roundelay.couriers.site_process import Answer, SiteProcess
from roundelay.data.left_out import together
from roundelay.data.remarks import remarks_of
from roundelay.data.split import refuse_leak
from roundelay.data.survey import POOLED, SiteSurvey
from roundelay.errors import CourierError, MissingExtraError
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.thresholds import PatientDices
from roundelay.learning.machine import Machine, find_device
from roundelay.plan.itinerary import Leg, Stop
from roundelay.plan.progress import OnStep, Step
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Scoring, Visit
from roundelay.site.cohort import open_cohort
from roundelay.study.study import Study

TRIES = 3

CONNECT_SECONDS = 10.0

POLL_SECONDS = 0.5

START_SECONDS = 180.0

SILENT_SECONDS = 300.0
"""A process answers within milliseconds, also while it trains: this long a silence is a loss."""


@dataclass(slots=True)
class Call:
    """One question to one site; `told` of its steps were reported, also before a retry."""

    site: str
    verb: str
    arguments: tuple[Any, ...]
    asked: Any = None
    told: int = 0

    def __str__(self) -> str:
        return next((str(a) for a in self.arguments if isinstance(a, Stop)), self.site)


class ClusterCourier:
    """Passes batons to sites' processes through Ray's object store."""

    def __init__(self, study: Study, *, home: Path, machine: Machine, on_step: OnStep) -> None:
        self._ray = _import_ray(study.courier.address)
        self._study, self._home, self._machine, self._on_step = study, home, machine, on_step
        self._cohort = open_cohort(study)
        self._sites, self._noticed = self._cohort.sites, self._cohort.left_out
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _start(self._ray, study.courier.address)
        # By site: its process, and the number of that process once it has started.
        self._actors: dict[str, tuple[Any, Any]] = {}

    def survey(self) -> Mapping[str, SiteSurvey]:
        answers = self._all([Call(site, "survey", ()) for site in self._sites])
        patients = [patient for _, own in answers for patient in own]
        refuse_leak(patients)
        self._noticed = together((*self._cohort.left_out, *remarks_of(patients)))
        return {site: found for site, (found, _) in zip(self._sites, answers, strict=True)}

    def next_leg(self, legs: Sequence[Leg]) -> Leg:
        return legs[0]

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        sent = self._ray.put(baton.data)
        answers = self._all([Call(stop.site, "train", (sent, stop)) for stop in stops])
        return [Visit(receipt, Baton(data)) for receipt, data in answers]

    def evaluate(self, baton: Baton, sites: Sequence[str], scoring: Scoring) -> list[PatientScore]:
        sent = self._ray.put(baton.data)
        asked = (sent, scoring.split, scoring.thresholds)
        answers = self._all([Call(site, "evaluate", asked) for site in sites])
        return [score for scores in answers for score in scores]

    def threshold_dices(self, baton: Baton, sites: Sequence[str]) -> list[PatientDices]:
        sent = self._ray.put(baton.data)
        answers = self._all([Call(site, "threshold_dices", (sent,)) for site in sites])
        return [one for found in answers for one in found]

    def opened(self, baton: Baton) -> Baton:
        return baton

    def facts(self) -> Mapping[str, Any]:
        return {"left_out": [one.as_json() for one in self._noticed]}

    def close(self) -> None:
        for site in list(self._actors):
            self._drop(site)
        if self._ours:
            self._ray.shutdown()

    def processes(self) -> dict[str, int]:
        """The number of every site's process that has started."""
        return {site: self._ray.get(number) for site, (_, number) in self._actors.items()}

    def _all(self, calls: Sequence[Call]) -> list[Any]:
        """Ask all at once, then gather in order: processes start and work side by side."""
        for call in calls:
            self._ask(call)
        return [self._gather(call) for call in calls]

    def _ask(self, call: Call) -> None:
        if call.site not in self._actors:
            self._actors[call.site] = self._launch(call.site)
        actor, _ = self._actors[call.site]
        call.asked = getattr(actor, call.verb).remote(*call.arguments)

    def _gather(self, call: Call) -> Any:
        for tries in range(1, TRIES + 1):
            try:
                answer = self._await(call)
                break
            except self._ray.exceptions.RayTaskError:
                raise  # an error that nobody foresaw: its traceback is wanted
            except self._ray.exceptions.RayError as error:
                self._drop(call.site)
                if tries == TRIES:
                    why = str(error).strip().splitlines() or [""]
                    raise CourierError(
                        f"The process of {call} was lost {TRIES} times during '{call.verb}':"
                        f" killed, out of memory, or out of reach?\n  {type(error).__name__}:"
                        f" {why[-1].strip()}\nWhat was handed over is kept. Mend the machine, then"
                        " go on with --resume."
                    ) from error
                self._ask(call)
        if answer.error is not None:
            raised = answer.error.__new__(answer.error)  # some make their text in __init__
            Exception.__init__(raised, answer.value)
            raise raised
        return answer.value

    def _await(self, call: Call) -> Answer:
        actor, number = self._actors[call.site]
        if not self._ray.wait([number], timeout=START_SECONDS)[0]:
            free = self._ray.available_resources().get("GPU", 0)
            raise CourierError(
                f"The process of {call} did not start within {START_SECONDS:g} s. It needs"
                f" {self._share():g} of a GPU; {free:g} are free. Nothing was lost: wait until the"
                " cluster has room, then go on with --resume."
            )
        watch = actor.steps.options(concurrency_group="watch")
        while not self._ray.wait([call.asked], timeout=POLL_SECONDS)[0]:
            self._tell(call, self._ray.get(watch.remote(), timeout=SILENT_SECONDS))
        answer: Answer = self._ray.get(call.asked, timeout=SILENT_SECONDS)
        self._tell(call, answer.steps)
        return answer

    def _tell(self, call: Call, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.step > call.told:
                call.told = step.step
                self._on_step(step)

    def _launch(self, site: str) -> tuple[Any, Any]:
        own = self._sites if site == POOLED else {site: self._sites[site]}
        # No processor is reserved: a relay has one site at work at a time, and side by side all
        # sites of a leg must be able to start on a small machine.
        kind = self._ray.remote(num_cpus=0, num_gpus=self._share(), concurrency_groups={"watch": 1})
        # A driver that took what there is lets its processes do so too: a GPU, where they have one.
        device = self._machine.device
        actor = kind(SiteProcess).remote(
            site, self._study, own, self._home.absolute(), self._machine,
            "auto" if device == find_device("auto") else device, torch.get_num_threads(),
        )  # fmt: skip
        return actor, actor.process.remote()

    def _share(self) -> float:
        gpus = int(self._ray.cluster_resources().get("GPU", 0))
        return gpu_share(gpus, len(self._sites) + 1)  # one more for the arm that pools all

    def _drop(self, site: str) -> None:
        actor, _ = self._actors.pop(site)
        self._ray.kill(actor)


def gpu_share(gpus: int, processes: int) -> float:
    """The part of a GPU for each process so that all fit; no process lies across two GPUs."""
    return math.floor(1e4 / math.ceil(processes / gpus)) / 1e4 if gpus else 0.0  # Ray's precision


def _import_ray(address: str | None) -> Any:
    # No usage statistics leave, a start under `uv run` doesn't upload the working folder (patients
    # and all), and a process without a GPU of its own sees what its machine has.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None and "ray" not in sys.modules:  # Ray reads this while it is imported
        # Its ports are open to the network, and whoever may speak to them may run code here.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("The cluster courier", "cluster") from error
    return ray


def _start(ray: Any, address: str | None) -> None:
    try:
        if address is None:
            ray.init(
                address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR"
            )
            return
        host, _, port = address.rpartition(":")
        if port.isdecimal() and "/" not in host:  # Ray itself would try for many minutes
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        raise CourierError(
            f"No Ray cluster answers at {address or 'this machine'} ({error}). Start it, or leave"
            " courier.address out to use this machine."
        ) from error

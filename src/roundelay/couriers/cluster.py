"""A worker process for each site, over Ray: one machine, its GPUs, or several machines.

A site's process opens the files of its own patients alone. A process that ends in the middle of
a visit loses that visit: it is started again and the visit tried again, to the same bytes,
because all of a visit's randomness comes from its stop.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from roundelay.baton import Baton
from roundelay.cohort.sites import Sites, open_sites
from roundelay.errors import CourierError, MissingExtraError, RoundelayError
from roundelay.evaluation.scores import PatientScore
from roundelay.itinerary import Stop
from roundelay.learning.fit import OnStep, Step
from roundelay.learning.model_file import reading_of
from roundelay.learning.precision import Machine
from roundelay.learning.slices import SliceCache
from roundelay.onsite import Ward, evaluate, open_ward, survey, train
from roundelay.relay import Visit
from roundelay.study import Study
from roundelay.survey import POOLED, SiteSurvey

TRIES = 3
START_SECONDS = 120.0
"""How long a process may take to start before something must be wrong with the cluster."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An error raised on purpose in a site's process: Ray would wrap it beyond recognition."""

    kind: type[RoundelayError]
    text: str


class SiteProcess:
    """What runs in a site's own process."""

    def __init__(
        self, site: str, study: Study, sites: Sites, home: Path, machine: Machine, threads: int
    ) -> None:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(study.recipe.deterministic)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._open = (site, study, sites)
        self._machine, self._home = replace(machine, device=device), home
        self._ward: Ward | None = None

    def process(self) -> int:
        """The number of the process, once it is there."""
        return os.getpid()

    def survey(self) -> SiteSurvey | Failed:
        found: SiteSurvey | Failed = self._answer(survey)
        return found

    def train(self, baton: Baton, stop: Stop) -> Visit | Failed:
        found: Visit | Failed = self._answer(train, stop, baton, lambda _: None)
        return found

    def evaluate(self, baton: Baton, split: str) -> list[PatientScore] | Failed:
        found: list[PatientScore] | Failed = self._answer(evaluate, baton, split)
        return found

    def _answer(self, verb: Any, *arguments: Any) -> Any:
        try:
            if self._ward is None:
                site, study, sites = self._open
                self._ward = open_ward(
                    site,
                    study,
                    sites,
                    cache=SliceCache(reading_of(study).view),
                    machine=self._machine,
                    home=self._home,
                )
            return verb(self._ward, *arguments)
        except RoundelayError as error:
            return Failed(type(error), str(error))


class ClusterCourier:
    """Passes batons to sites' processes through Ray's object store."""

    def __init__(self, study: Study, *, home: Path, machine: Machine, on_step: OnStep) -> None:
        self._ray = _import_ray()
        self._study, self._home, self._machine, self._on_step = study, home, machine, on_step
        self._sites = open_sites(study.data)
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _start(self._ray, study.courier.address)
        self._actors: dict[str, Any] = {}

    def survey(self) -> Mapping[str, SiteSurvey]:
        answers = self._all([(site, "survey", ()) for site in self._sites])
        return dict(zip(self._sites, answers, strict=True))

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        sent = self._ray.put(baton)
        visits: list[Visit] = self._all([(stop.site, "train", (sent, stop)) for stop in stops])
        for stop, visit in zip(stops, visits, strict=True):
            rate = stop.slice_visits / max(visit.receipt.seconds, 1e-3)
            self._on_step(Step(stop, stop.steps, visit.receipt.loss or 0.0, rate))
        return visits

    def evaluate(self, baton: Baton, sites: Sequence[str], split: str) -> list[PatientScore]:
        sent = self._ray.put(baton)
        answers = self._all([(site, "evaluate", (sent, split)) for site in sites])
        return [score for scores in answers for score in scores]

    def close(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        if self._ours:
            self._ray.shutdown()

    def processes(self) -> dict[str, int]:
        """The process of every site that has one."""
        return {site: self._ray.get(a.process.remote()) for site, a in self._actors.items()}

    def _all(self, calls: Sequence[tuple[str, str, tuple[Any, ...]]]) -> list[Any]:
        """Ask all at once, then gather in order; a process that ended is asked again."""
        asked = [self._ask(*call) for call in calls]
        return [self._gather(call, answer) for call, answer in zip(calls, asked, strict=True)]

    def _ask(self, site: str, verb: str, arguments: tuple[Any, ...]) -> Any:
        if site not in self._actors:
            self._actors[site] = self._start_site(site)
        return getattr(self._actors[site], verb).remote(*arguments)

    def _gather(self, call: tuple[str, str, tuple[Any, ...]], asked: Any) -> Any:
        site, verb, arguments = call
        for tries in range(1, TRIES + 1):
            try:
                answer = self._ray.get(asked)
            except (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError) as e:
                if tries == TRIES:
                    where = next((str(a) for a in arguments if isinstance(a, Stop)), site)
                    raise CourierError(
                        f"The process of {where} ended {TRIES} times during '{verb}'"
                        f" ({type(e).__name__}): killed, or out of memory? What was handed over is"
                        " kept. Mend the machine, then go on with --resume."
                    ) from e
                self._actors.pop(site, None)
                asked = self._ask(site, verb, arguments)
                continue
            if isinstance(answer, Failed):
                error = answer.kind.__new__(answer.kind)
                Exception.__init__(error, answer.text)
                raise error
            return answer
        raise AssertionError("a call is answered or raises")

    def _start_site(self, site: str) -> Any:
        gpus = self._ray.cluster_resources().get("GPU", 0.0)
        share = min(1.0, gpus / (len(self._sites) + 1))
        own = self._sites if site == POOLED else {site: self._sites[site]}
        # No processor is reserved: a relay has one site at work at a time, and side by side all
        # sites of a leg must be able to start on a small machine.
        kind = self._ray.remote(num_cpus=0, num_gpus=share)(SiteProcess)
        actor = kind.remote(
            site, self._study, own, self._home.absolute(), self._machine, torch.get_num_threads()
        )
        try:
            self._ray.get(actor.process.remote(), timeout=START_SECONDS)
        except self._ray.exceptions.GetTimeoutError as error:
            raise CourierError(
                f"The process of {site} did not start within {START_SECONDS:.0f} s: has the cluster"
                " the resources? Nothing was lost; go on with --resume."
            ) from error
        except self._ray.exceptions.RayActorError as error:
            raise CourierError(f"The process of {site} ended while it started: {error}") from error
        return actor


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("The cluster courier", "cluster") from error
    return ray


def _start(ray: Any, address: str | None) -> None:
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="ERROR",
            configure_logging=True,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise CourierError(
            f"No Ray cluster answers at {address or 'this machine'} ({error}). Start it, or leave"
            " courier.address out to use this machine."
        ) from error

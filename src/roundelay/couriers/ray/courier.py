"""Sites take turns on worker processes, over Ray: one machine, its GPUs, or several machines.

On a turn a worker opens the files of that site's patients alone. A worker that ends in the middle
of a visit loses that visit: another one is started and the visit tried again, to the same bytes,
because all of a visit's randomness comes from its stop.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from roundelay.couriers.ray.ahead import taken_over, worker_in
from roundelay.couriers.ray.pool import Call, Pool
from roundelay.couriers.ray.room import (
    Lane,
    lane_of_all,
    lane_of_pin,
    nodes_of,
    refuse_strange_pins,
    refuse_unoffered,
)
from roundelay.couriers.ray.start import import_ray, start
from roundelay.couriers.ray.worker import Setting, viewed
from roundelay.data.left_out import all_bad, refuse, sites_all_bad, together
from roundelay.data.patients import Patient
from roundelay.data.remarks import remarks_of
from roundelay.data.split import refuse_leak
from roundelay.data.survey import POOLED, SiteSurvey
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.thresholds import PatientDices
from roundelay.learning.machine import Machine, find_device
from roundelay.plan.itinerary import Leg, Stop
from roundelay.plan.progress import OnStep
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Scoring, Visit
from roundelay.site.cohort import open_cohort
from roundelay.study.sections import MOST_SITES, PARALLEL
from roundelay.study.study import Study


class ClusterCourier:
    """Passes batons to workers through Ray's object store, by reference."""

    def __init__(self, study: Study, *, home: Path, machine: Machine, on_step: OnStep) -> None:
        self._ray = import_ray(study.courier.address)
        self._pins, self._threads = study.courier.resources, torch.get_num_threads()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            start(self._ray, study.courier.address)
        try:
            refuse_unoffered(self._pins, nodes_of(self._ray))
            # A driver that took what there is lets its workers do so too: a GPU, if they have one.
            self._device = "auto" if machine.device == find_device("auto") else machine.device
            self._setting = Setting(study, home.absolute(), machine, self._device, self._threads)
            self._pool = Pool(self._ray, self._launch, self._lane, on_step)
            self._pool.start_ahead(
                self._pins, taken_over(self._ray)
            )  # beside the reading of the cohort
            self._cohort = open_cohort(study)
            refuse_strange_pins(self._pins, self._cohort.sites)
        except BaseException:
            self.close()
            raise
        self._noticed = self._cohort.left_out
        self._opened: dict[str, tuple[Patient, ...]] = {}
        self._held: tuple[Baton, Any] | None = None

    def survey(self) -> Mapping[str, SiteSurvey]:
        sites = self._cohort.sites
        answers = self._take([(site, "survey", (own,), site) for site, own in sites.items()])
        found = {site: answer for site, (answer, _, _) in zip(sites, answers, strict=True)}
        refuse([fault for _, _, faults in found.values() for fault in faults])
        self._opened = {site: patients for site, (_, patients, _) in found.items()}
        away = sites_all_bad(self._opened)
        every = tuple(patient for own in self._opened.values() for patient in own)
        refuse_leak(every)
        self._opened[POOLED] = every
        self._noticed = together((*self._cohort.left_out, *away, *remarks_of(every)))
        return {s: counts for s, (counts, own, _) in found.items() if not all_bad(own)}

    def next_leg(self, legs: Sequence[Leg]) -> Leg:
        return legs[0]

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        sent = self._by_reference(baton)
        answers = self._take(
            [(s.site, "train", (self._patients(s.site), sent, s), str(s)) for s in stops]
        )
        visits = [Visit(receipt, Baton(viewed(data))) for receipt, data, _ in answers]
        # In a relay this is what the next visit begins with: it stays where it is.
        self._held = (visits[0].baton, answers[0][2]) if len(stops) == 1 else None
        return visits

    def evaluate(self, baton: Baton, sites: Sequence[str], scoring: Scoring) -> list[PatientScore]:
        sent = self._by_reference(baton)
        asked = (sent, scoring.split, scoring.thresholds)
        answers = self._take([(s, "evaluate", (self._patients(s), *asked), s) for s in sites])
        return [score for scores, _, _ in answers for score in scores]

    def threshold_dices(self, baton: Baton, sites: Sequence[str]) -> list[PatientDices]:
        sent = self._by_reference(baton)
        answers = self._take([(s, "threshold_dices", (self._patients(s), sent), s) for s in sites])
        return [one for dices, _, _ in answers for one in dices]

    def opened(self, baton: Baton) -> Baton:
        return baton

    def facts(self) -> Mapping[str, Any]:
        return self._cohort.facts(self._noticed)

    def close(self) -> None:
        if hasattr(self, "_pool"):
            self._pool.close()
        if self._ours:
            self._ray.shutdown()

    def processes(self) -> dict[str, int]:
        """The number of the process that took each site's last turn."""
        return self._pool.processes()

    def _take(self, turns: Sequence[tuple[str, str, tuple[Any, ...], str]]) -> list[Any]:
        return self._pool.take(
            [
                Call(site, verb, (self._setting, site, *given), says, self._pins.get(site, ""))
                for site, verb, given, says in turns
            ]
        )

    def _patients(self, site: str) -> tuple[Patient, ...]:
        """A site's patients, opened; all of them for the comparator that pools."""
        if not self._opened:
            self.survey()
        return self._opened[site]

    def _by_reference(self, baton: Baton) -> Any:
        """Where workers read a baton without a copy: put there once, or there since it came."""
        if self._held is None or self._held[0] is not baton:
            self._held = (baton, self._ray.put(np.frombuffer(baton.data, np.uint8)))
        return self._held[1]

    def _launch(self, lane: Lane) -> Any:
        # On this machine alone no core is reserved: nobody else takes turns here.
        cpus = lane.cpus if self._setting.study.courier.address else 0
        kind = worker_in(
            self._ray, num_cpus=cpus, num_gpus=lane.gpus, resources=dict(lane.resources)
        )
        return kind.remote()

    def _lane(self, name: str) -> Lane:
        nodes = nodes_of(self._ray)
        given: dict[str, Any] = {"threads": self._threads, "gpus": self._device != "cpu"}
        if name:
            return lane_of_pin(nodes, self._pins, name, **given)
        return lane_of_all(nodes, self._pins, widest=self._widest(), **given)

    def _widest(self) -> int:
        """How many stops the widest leg that trains may have: a relay needs one worker alone. For
        what is over soon, counting patients and scores and BatchNorm, no more are started."""
        return MOST_SITES if set(PARALLEL) & set(self._setting.study.arms) else 1

"""Hospitals in this process: request handlers and the coordinator of a network, without FLARE.

What is said between them is the same bytes; only what carries them is a function call.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from roundelay.network.coordinator.courier import HospitalsCourier
from roundelay.network.hospital.consent import approve, waiting_study
from roundelay.network.hospital.request_handler import answer
from roundelay.network.hospital.store import POLICY, Settings, write_settings
from roundelay.network.wire.messages import Parts
from roundelay.network.wire.transport import OnProgress, Request
from roundelay.records.result import RunResult
from roundelay.running.run import run_study
from roundelay.study.study import Study

FEW_PATIENTS = "[release]\nleast_scored = 1\n"
"""A policy that lets the scores of a toy's few patients go."""


class Wire:
    """A transport that calls the request handlers. `tamper` sees every request and answer."""

    def __init__(self, homes: dict[str, Path]) -> None:
        self.homes = homes
        self.tamper: Callable[[str, Request, Parts], Parts] = lambda *seen: seen[-1]
        self.passed = 0
        self.away: set[str] = set()

    def exchange(self, requests: Sequence[Request], on_progress: OnProgress) -> list[Parts]:
        answers = []
        for request in requests:
            message = self.tamper("request", request, request.message)
            self.passed += 1
            reply = answer(
                self.homes[request.site], message, lambda told, r=request: on_progress(r, told)
            )
            reply = self.tamper("answer", request, reply)
            answers.append(reply)
        return answers

    def present(self) -> set[str]:
        return set(self.homes) - self.away

    def close(self) -> None:
        """Nothing was opened."""


class Network:
    """Sites with their own patients, each with a home; and the coordinator's home."""

    def __init__(
        self, place: Path, data: Path, sites: dict[str, list[str]], policy: str = FEW_PATIENTS
    ) -> None:
        """`sites` names the patients' folders of `data` that lie at each site."""
        self.place, self.homes = place, {}
        for site, folders in sites.items():
            self.homes[site] = place / site
            own = place / f"{site}-data"
            for folder in folders:
                shutil.copytree(data / folder, own / folder)
            write_settings(self.homes[site], Settings(site, str(own), "lgg"))
            (self.homes[site] / POLICY).write_text(policy)
        self.wire = Wire(self.homes)

    def courier(
        self, study: Study, on_event: Callable[[Any], None], roster: Any = None
    ) -> HospitalsCourier:
        return HospitalsCourier(
            study, self.wire, list(self.homes), home=self.place / "coordinator", run="r1",
            on_event=on_event, roster=roster,
        )  # fmt: skip

    def approve(self, site: str, study: Study) -> None:
        """What its operator does when asked."""
        approve(self.homes[site], waiting_study(self.homes[site], study.digest))

    def run(self, study: Study, out: Path, **settings: Any) -> RunResult:
        on_event = settings.pop("on_event", lambda _: None)
        roster = settings.pop("roster", None)
        return run_study(
            study, out, on_event=on_event,
            courier_of=lambda plan, **_: self.courier(plan, on_event, roster), **settings,
        )  # fmt: skip


def by_site(data: Path) -> dict[str, list[str]]:
    """The folders of a toy cohort's patients, by the institution in their names."""
    found: dict[str, list[str]] = {}
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        found.setdefault(folder.name.split("_")[1], []).append(folder.name)
    return found

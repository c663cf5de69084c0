"""Requests over NVIDIA FLARE: one job each, made, watched and removed by the coordinator.

What proves success is the answer; a job's status proves nothing (a job of a killed server is shown
as running for ever). What proves life is progress from the site.
"""

import tempfile
import time
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roundelay.errors import CourierError, SiteAbsentError
from roundelay.network.flare.delivery import Delivery, moved_on
from roundelay.network.flare.jobs import ANSWER, job_folder
from roundelay.network.flare.session import Session
from roundelay.network.wire.transport import TOLD, OnProgress, Request, too_large

POLL = 0.3

TRIES = 3

CLOSE_SECONDS = 30.0

PRESENCE_SECONDS = 5.0
"""How often it is asked who is there."""

MUTE_SECONDS, START_SECONDS = 20.0, 40.0
"""A site's process says every five seconds that it lives: after so long a silence it is gone, or
has never come to be."""

SILENT_SECONDS = 30.0
"""A site that wasn't heard of for three heartbeats is away."""

PIECE = 24 << 20
"""Bytes of an answer that are fetched at once."""

PREFIX = "roundelay-"

ENDED, RUNNING = "FINISHED", "RUNNING"


class FlareTransport:
    """A session with the network's server, from the coordinator's kit.

    `patience` is how long a site that isn't there is waited for, `stuck_after` how long one that
    is there may be without progress, both in seconds.
    """

    def __init__(self, kit: Path, run: str, *, patience: float, stuck_after: float) -> None:
        self._session, self._run = Session(kit, patience=patience), run
        self._patience, self._stuck_after = patience, stuck_after
        self._here: set[str] = set()
        self._asked = -PRESENCE_SECONDS
        self._ending: list[str] = []

    def exchange(self, requests: Sequence[Request], on_progress: OnProgress) -> list[bytes]:
        deliveries = [Delivery(request) for request in requests]
        server = Request("the server", "", "", b"")
        self._session.on_wait = lambda why: on_progress(server, {"waits": why})
        try:
            for delivery in deliveries:
                self._begin(delivery)
            while waiting := [delivery for delivery in deliveries if delivery.answer is None]:
                self._look_around()
                for delivery in waiting:
                    self._look(delivery, on_progress)
                time.sleep(POLL)
        except Exception:
            for delivery in deliveries:
                if delivery.job:
                    self._remove(delivery.job)
            raise
        return [delivery.answer for delivery in deliveries if delivery.answer is not None]

    def connected(self) -> set[str]:
        """Sites that the server counts as connected; it forgets one after ten silent minutes."""
        return set(self._session.heard())

    def present(self) -> set[str]:
        self._look_around()
        return set(self._here)

    def close(self) -> None:
        """Free the server's disk, then let go of the session."""
        until = time.monotonic() + CLOSE_SECONDS
        while self._ending and self._session.is_open and time.monotonic() < until:
            self._sweep(gently=False)
            time.sleep(POLL)
        self._session.close()

    def _begin(self, delivery: Delivery) -> None:
        """Send the request's job, or go on with the one that a killed coordinator left at work."""
        name = f"{PREFIX}{self._run}-{delivery.request.key[:32]}"
        first = delivery.tries == 0  # later on, one of that name is the one that was given up
        delivery.moved = delivery.heard = time.monotonic()
        delivery.begun, delivery.step = False, -1
        delivery.tries += 1
        for job in self._session.call("list_jobs") if first else ():
            if job.get("job_name") == name and not str(job.get("status")).startswith(ENDED):
                delivery.job = job["job_id"]
                return
        self._sweep(gently=True)  # to abort takes two seconds, to end by itself eight
        with job_folder(delivery.request, name) as folder:
            delivery.job = self._session.call("submit_job", str(folder))

    def _look(self, delivery: Delivery, on_progress: OnProgress) -> None:
        status = self._status(delivery.job)
        if status.startswith(ENDED):
            self._fetch(delivery, status)
            return
        if status == RUNNING and (message := self._app(delivery.job, {"progress": 1})):
            delivery.heard = time.monotonic() - message.pop("mute")
            silent, delivery.begun = message.pop("silent"), message.pop("begun")
            if moved_on(delivery, message):
                delivery.moved = max(delivery.moved, time.monotonic() - silent)
            if size := message.pop("answered"):
                self._take(delivery, size)
                return
            if message.get("step"):
                told = {key: message[key] for key in TOLD if key in message}
                on_progress(delivery.request, told)
        if status != RUNNING:  # no process to be heard of
            delivery.heard = time.monotonic()
        self._wait(delivery, on_progress)

    def _status(self, job: str) -> str:
        from nvflare.fuel.flare_api.api_spec import JobNotFound

        try:
            return str((self._session.call("get_job_meta", job) or {}).get("status", ""))
        except JobNotFound:  # its server was restored from another day, or somebody removed it
            return f"{ENDED}:LOST"

    def _wait(self, delivery: Delivery, on_progress: OnProgress) -> None:
        """A site that isn't there has `patience`, one that is there and does nothing less."""
        now = time.monotonic()
        if delivery.request.site not in self._here:
            if delivery.present:
                on_progress(delivery.request, {"waits": "isn't there"})
                delivery.present, delivery.moved = False, now
            if now - delivery.moved > self._patience:
                raise SiteAbsentError(delivery.request.site, delivery.request.about, self._patience)
            return
        if not delivery.present:
            on_progress(delivery.request, {"waits": ""})
            delivery.present, delivery.moved = True, now
        if now - delivery.heard > (MUTE_SECONDS if delivery.begun else START_SECONDS):
            self._again(delivery, "was lost: its process ended")
        elif now - delivery.moved > self._stuck_after:
            self._again(delivery, f"did nothing for {self._stuck_after:g} s")

    def _fetch(self, delivery: Delivery, status: str) -> None:
        """The answer of a job that has ended: nobody took it while it ran."""
        answer = None
        with tempfile.TemporaryDirectory(prefix="roundelay-") as place:
            if not status.endswith("LOST"):
                folder = self._session.call("download_job_result", delivery.job, place)
                file = next(Path(folder).rglob(ANSWER), None)
                if file is not None:
                    self._refuse_too_large(delivery, file.stat().st_size)
                    answer = file.read_bytes()
        if answer is None:
            self._again(delivery, f"ended without an answer ({status.removeprefix('FINISHED:')})")
            return
        self._remove(delivery.job)
        delivery.answer, delivery.job = answer, ""

    def _again(self, delivery: Delivery, why: str) -> None:
        self._remove(delivery.job)
        delivery.job = ""
        if delivery.request.site not in self._here:
            delivery.tries -= 1  # it left; that is no fault of the request
        if delivery.tries >= TRIES:
            raise CourierError(
                f"{delivery.request.about} {why}, {TRIES} times. Its own log (roundelay/log.txt in"
                " its kit) says more. What was handed over is kept; go on with --resume."
            )
        self._begin(delivery)

    def _remove(self, job: str, *, gently: bool = False) -> bool:
        """End a job and free the server's disk; whether that is done. `gently`: without ending."""
        for verb in ("delete_job",) if gently else ("delete_job", "abort_job", "delete_job"):
            try:
                self._session.call(verb, job)
            except Exception as error:  # FLARE's errors have no base of their own
                if type(error).__name__ == "JobNotFound":
                    return True
                continue
            if verb == "delete_job":
                return True
        self._ending.append(job)
        return False

    def _sweep(self, *, gently: bool) -> None:
        """Delete jobs that were ending when they were last looked at."""
        ending, self._ending = self._ending, []
        for job in dict.fromkeys(ending):
            self._remove(job, gently=gently)

    def _take(self, delivery: Delivery, size: int) -> None:
        """Fetch the answer from the running job: ending a job takes FLARE ten seconds."""
        self._refuse_too_large(delivery, size)
        pieces = []
        for first in range(0, size, PIECE):
            found = self._app(delivery.job, {"first": first, "end": min(first + PIECE, size)})
            if found is None:
                return  # the job broke off: its status will say
            pieces.append(b64decode(found["bytes"]))
        self._app(delivery.job, {"taken": 1})
        delivery.answer = b"".join(pieces)
        self._ending.append(delivery.job)
        delivery.job = ""

    def _refuse_too_large(self, delivery: Delivery, size: int) -> None:
        if size > delivery.request.most:
            raise CourierError(
                f"{delivery.request.about}: {too_large(size, delivery.request)} Nothing was kept."
            )

    def _app(self, job: str, data: dict[str, int]) -> dict[str, Any] | None:
        try:
            found = self._session.call("do_app_command", job, "roundelay-ask", data)
        except Exception:  # the job has just ended, or has not begun: its status will say
            return None
        return dict(found)

    def _look_around(self) -> None:
        if time.monotonic() - self._asked > PRESENCE_SECONDS:
            heard = self._session.heard().items()
            self._here = {site for site, seconds in heard if seconds < SILENT_SECONDS}
            self._asked = time.monotonic()

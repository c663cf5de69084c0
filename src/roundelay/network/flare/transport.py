"""Errands over NVIDIA FLARE: one job each, made, watched and removed by the coordinator.

What proves success is the answer; a job's status proves nothing (a job of a killed server is shown
as running for ever). What proves life is progress from the site.
"""

import tempfile
import time
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roundelay.errors import CourierError, SiteAbsentError
from roundelay.network.flare.jobs import ANSWER, job_folder
from roundelay.network.flare.session import Session
from roundelay.network.wire.transport import Errand, OnProgress

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


@dataclass(slots=True)
class Way:
    """One errand under way. `moved` is when its site last did something, `heard` when something
    was last heard of the process that works on it, `begun` whether anything was."""

    errand: Errand
    job: str = ""
    tries: int = 0
    moved: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    begun: bool = False
    present: bool = True
    answer: bytes | None = None


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

    def exchange(self, errands: Sequence[Errand], on_progress: OnProgress) -> list[bytes]:
        ways = [Way(errand) for errand in errands]
        server = Errand("the server", "", "", b"")
        self._session.on_wait = lambda why: on_progress(server, {"waits": why})
        try:
            for way in ways:
                self._begin(way)
            while waiting := [way for way in ways if way.answer is None]:
                self._look_around()
                for way in waiting:
                    self._look(way, on_progress)
                time.sleep(POLL)
        except Exception:
            for way in ways:
                if way.job:
                    self._remove(way.job)
            raise
        return [way.answer for way in ways if way.answer is not None]

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

    def _begin(self, way: Way) -> None:
        """Send the errand's job, or go on with the one that a killed coordinator left at work."""
        name = f"{PREFIX}{self._run}-{way.errand.key[:32]}"
        first = way.tries == 0  # later on, one of that name is the one that was given up
        way.moved = way.heard = time.monotonic()
        way.begun = False
        way.tries += 1
        for job in self._session.call("list_jobs") if first else ():
            if job.get("job_name") == name and not str(job.get("status")).startswith(ENDED):
                way.job = job["job_id"]
                return
        self._sweep(gently=True)  # to abort takes two seconds, to end by itself eight
        with job_folder(way.errand, name) as folder:
            way.job = self._session.call("submit_job", str(folder))

    def _look(self, way: Way, on_progress: OnProgress) -> None:
        status = self._status(way.job)
        if status.startswith(ENDED):
            self._fetch(way, status)
            return
        if status == RUNNING and (word := self._app(way.job, {"progress": 1})):
            way.heard = time.monotonic() - word.pop("mute")
            way.moved = time.monotonic() - word.pop("silent")
            way.begun = word.pop("begun")
            if size := word.pop("answered"):
                self._take(way, size)
                return
            if word.get("step"):
                on_progress(way.errand, word)
        if status != RUNNING:  # no process to be heard of
            way.heard = time.monotonic()
        self._wait(way, on_progress)

    def _status(self, job: str) -> str:
        from nvflare.fuel.flare_api.api_spec import JobNotFound

        try:
            return str((self._session.call("get_job_meta", job) or {}).get("status", ""))
        except JobNotFound:  # its server was restored from another day, or somebody removed it
            return f"{ENDED}:LOST"

    def _wait(self, way: Way, on_progress: OnProgress) -> None:
        """A site that isn't there has `patience`, one that is there and does nothing less."""
        now = time.monotonic()
        if way.errand.site not in self._here:
            if way.present:
                on_progress(way.errand, {"waits": "isn't there"})
                way.present, way.moved = False, now
            if now - way.moved > self._patience:
                raise SiteAbsentError(way.errand.site, way.errand.about, self._patience)
            return
        if not way.present:
            on_progress(way.errand, {"waits": ""})
            way.present, way.moved = True, now
        if now - way.heard > (MUTE_SECONDS if way.begun else START_SECONDS):
            self._again(way, "was lost: its process ended")
        elif now - way.moved > self._stuck_after:
            self._again(way, f"did nothing for {self._stuck_after:g} s")

    def _fetch(self, way: Way, status: str) -> None:
        """The answer of a job that has ended: nobody took it while it ran."""
        answer = None
        with tempfile.TemporaryDirectory(prefix="roundelay-") as place:
            if not status.endswith("LOST"):
                folder = self._session.call("download_job_result", way.job, place)
                answer = next((p.read_bytes() for p in Path(folder).rglob(ANSWER)), None)
        if answer is None:
            self._again(way, f"ended without an answer ({status.removeprefix('FINISHED:')})")
            return
        self._remove(way.job)
        way.answer, way.job = answer, ""

    def _again(self, way: Way, why: str) -> None:
        self._remove(way.job)
        way.job = ""
        if way.errand.site not in self._here:
            way.tries -= 1  # it left; that is no fault of the errand
        if way.tries >= TRIES:
            raise CourierError(
                f"{way.errand.about} {why}, {TRIES} times. Its own log (roundelay/log.txt in its"
                " kit) says more. What was handed over is kept; go on with --resume."
            )
        self._begin(way)

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

    def _take(self, way: Way, size: int) -> None:
        """Fetch the answer from the running job: ending a job takes FLARE ten seconds."""
        pieces = []
        for first in range(0, size, PIECE):
            found = self._app(way.job, {"first": first, "end": min(first + PIECE, size)})
            if found is None:
                return  # the job broke off: its status will say
            pieces.append(b64decode(found["bytes"]))
        self._app(way.job, {"taken": 1})
        way.answer = b"".join(pieces)
        self._ending.append(way.job)
        way.job = ""

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

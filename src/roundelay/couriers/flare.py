"""Errands over NVIDIA FLARE: one job each, made, watched and removed by the coordinator.

What proves success is the answer; a job's status proves nothing (a job of a killed server is shown
as running for ever). What proves life is progress from the site.
"""

import contextlib
import io
import json
import logging
import tempfile
import time
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roundelay.errors import CourierError, NetworkError, SiteAbsentError
from roundelay.network.errand import Errand, OnProgress
from roundelay.network.flare import flare
from roundelay.network.job import ANSWER, job_folder
from roundelay.network.kits import COORDINATOR, kit_role

POLL = 0.3
TRIES = 3
LOGIN_SECONDS = 20.0
CLOSE_SECONDS = 30.0
COMMAND_SECONDS = 60.0
PRESENCE_SECONDS = 5.0
"""How often it is asked who is there."""
MUTE_SECONDS = 40.0
"""A site's process says every five seconds that it lives: after this long it is gone."""
SILENT_SECONDS = 30.0
"""A site that wasn't heard of for three heartbeats is away."""
PIECE = 24 << 20
"""Bytes of an answer that are fetched at once."""
PREFIX = "roundelay-"
ENDED, RUNNING = "FINISHED", "RUNNING"


@dataclass(slots=True)
class Way:
    """One errand under way. `moved` is when its site last did something, `mute` for how many
    seconds nothing was heard of the process that works on it."""

    errand: Errand
    job: str = ""
    tries: int = 0
    moved: float = field(default_factory=time.monotonic)
    mute: float = 0.0
    present: bool = True
    answer: bytes | None = None


class FlareTransport:
    """A session with the network's server, from the coordinator's kit.

    `patience` is how long a site that isn't there is waited for, `stuck_after` how long one that
    is there may be without progress, both in seconds.
    """

    def __init__(self, kit: Path, run: str, *, patience: float, stuck_after: float) -> None:
        flare()
        if (role := kit_role(kit)) != COORDINATOR:
            raise NetworkError(f"{kit} is the kit of a {role}, not of a coordinator.")
        self._kit, self._run = kit.resolve(), run
        self._patience, self._stuck_after = patience, stuck_after
        self._user = json.loads((kit / "startup" / "fed_admin.json").read_text())["admin"]
        self._session: Any = None
        self._here: set[str] = set()
        self._heard: dict[str, tuple[float, float]] = {}
        self._asked = -PRESENCE_SECONDS
        self._ending: list[str] = []

    def exchange(self, errands: Sequence[Errand], on_progress: OnProgress) -> list[bytes]:
        ways = [Way(errand) for errand in errands]
        try:
            for way in ways:
                self._begin(way)
            while waiting := [way for way in ways if way.answer is None]:
                self._presence()
                for way in waiting:
                    self._look(way, on_progress)
                time.sleep(POLL)
        except Exception:
            for way in ways:
                if way.job:
                    self._remove(way.job)
            raise
        return [way.answer for way in ways if way.answer is not None]

    def present(self) -> dict[str, float]:
        """Sites that are connected, with the seconds since each was last heard of, at least.

        The server's clock may be wrong: what counts is since when its time for a site stood still.
        """
        info, now = self._ask("get_system_info"), time.monotonic()
        for client in info.client_info:
            known = self._heard.get(client.name)
            if known is None or known[0] != client.last_connect_time:
                self._heard[client.name] = (client.last_connect_time, now)
        names = {client.name for client in info.client_info}
        return {name: now - since for name, (_, since) in self._heard.items() if name in names}

    def connected(self) -> set[str]:
        """Sites that the server counts as connected; it forgets one after ten silent minutes."""
        return set(self.present())

    def close(self) -> None:
        """Free the server's disk, then let go of the session."""
        until = time.monotonic() + CLOSE_SECONDS
        while self._ending and self._session is not None and time.monotonic() < until:
            self._sweep()
            time.sleep(POLL)
        self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            with contextlib.suppress(Exception):  # a session that is broken is closed already
                self._session.close()
            self._session = None

    def _begin(self, way: Way) -> None:
        """Send the errand's job, or go on with the one that a killed coordinator left at work."""
        name = f"{PREFIX}{self._run}-{way.errand.key[:32]}"
        way.moved = time.monotonic()
        way.tries += 1
        for job in self._ask("list_jobs"):
            if job.get("job_name") == name and not str(job.get("status")).startswith(ENDED):
                way.job = job["job_id"]
                return
        self._sweep()
        with job_folder(way.errand, name) as folder:
            way.job = self._ask("submit_job", str(folder))

    def _look(self, way: Way, on_progress: OnProgress) -> None:
        status = self._status(way.job)
        if status.startswith(ENDED):
            self._fetch(way, status)
            return
        if status == RUNNING and (word := self._app(way.job, {"progress": 1})):
            way.mute = word.pop("mute")
            way.moved = time.monotonic() - word.pop("silent")
            if size := word.pop("answered"):
                self._take(way, size)
                return
            if word.get("step"):
                on_progress(way.errand, word)
        elif status == RUNNING:  # its process is not there yet, or not any more
            way.mute += POLL
        self._wait(way, on_progress)

    def _status(self, job: str) -> str:
        from nvflare.fuel.flare_api.api_spec import JobNotFound

        try:
            return str((self._ask("get_job_meta", job) or {}).get("status", ""))
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
        if way.mute > MUTE_SECONDS:
            self._again(way, "was lost: its process ended")
        elif now - way.moved > self._stuck_after:
            self._again(way, f"did nothing for {self._stuck_after:g} s")

    def _fetch(self, way: Way, status: str) -> None:
        """The answer of a job that has ended: nobody took it while it ran."""
        answer = None
        with tempfile.TemporaryDirectory(prefix="roundelay-") as place:
            if not status.endswith("LOST"):
                folder = self._ask("download_job_result", way.job, place)
                answer = next((p.read_bytes() for p in Path(folder).rglob(ANSWER)), None)
        if answer is None:
            self._again(way, f"ended without an answer ({status.removeprefix('FINISHED:')})")
            return
        self._remove(way.job)
        way.answer, way.job = answer, ""

    def _again(self, way: Way, why: str) -> None:
        self._remove(way.job)
        way.job, way.mute = "", 0.0
        if way.errand.site not in self._here:
            way.tries -= 1  # it left; that is no fault of the errand
        if way.tries >= TRIES:
            raise CourierError(
                f"{way.errand.about} {why}, {TRIES} times. Its own log (roundelay/log.txt in its"
                " kit) says more. What was handed over is kept; go on with --resume."
            )
        self._begin(way)

    def _remove(self, job: str) -> bool:
        """End a job and free the server's disk; whether that is done."""
        for verb in ("delete_job", "abort_job", "delete_job"):
            try:
                self._ask(verb, job)
            except Exception as error:  # FLARE's errors have no base of their own
                if type(error).__name__ == "JobNotFound":
                    return True
                continue
            if verb == "delete_job":
                return True
        self._ending.append(job)
        return False

    def _sweep(self) -> None:
        """Delete jobs that were ending when they were last looked at."""
        ending, self._ending = self._ending, []
        for job in dict.fromkeys(ending):
            self._remove(job)

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
            found = self._ask("do_app_command", job, "roundelay-ask", data)
        except Exception:  # the job has just ended, or has not begun: its status will say
            return None
        return dict(found)

    def _presence(self) -> None:
        if time.monotonic() - self._asked > PRESENCE_SECONDS:
            self._here = {
                site for site, silent in self.present().items() if silent < SILENT_SECONDS
            }
            self._asked = time.monotonic()

    def _ask(self, verb: str, *arguments: Any) -> Any:
        """One call; a lost session is opened again, for as long as a site would be waited for."""
        from nvflare.fuel.flare_api.flare_api import NoConnection, SessionClosed

        until = time.monotonic() + self._patience
        while True:
            try:
                if self._session is None:
                    self._session = self._open()
                return getattr(self._session, verb)(*arguments)
            except (NoConnection, SessionClosed, ConnectionError, TimeoutError) as error:
                self._drop()
                if time.monotonic() > until:
                    raise CourierError(
                        f"The network's server at {self._user['host']}:{self._user['port']} doesn't"
                        f" answer ({error or type(error).__name__}). What was handed over is kept;"
                        " when it is there again, go on with --resume."
                    ) from error
                time.sleep(POLL)

    def _open(self) -> Any:
        from nvflare.fuel.flare_api.flare_api import new_secure_session

        logging.getLogger("nvflare").setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()):  # it speaks of connecting
            return new_secure_session(
                self._user["username"], str(self._kit), timeout=LOGIN_SECONDS,
                command_timeout=COMMAND_SECONDS,
            )  # fmt: skip

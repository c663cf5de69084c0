"""The processes that answer a site's requests: one is always there, and lives from request to
request.

Without torch until a request needs it. A second one is started where a request comes while another
is answered; of those that have nothing to do one is kept.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ARENAS = "MALLOC_ARENA_MAX"
"""Holds for a process that carries, not for one that trains."""

OUTGOING = "outgoing"

OnProgress = Callable[[dict[str, Any]], None]

LINGER = 600.0
"""Seconds after which a process that has torch and nothing to do makes room for one without."""


class WorkerLostError(Exception):
    """The process ended before its answer came."""


@dataclass(frozen=True, slots=True)
class Worked:
    """An answer's head; its payload as a file that the taker moves away, with digest and size."""

    head: bytes
    payload: Path | None
    digest: str
    size: int


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[str]
    ticket: str = ""
    has_torch: bool = False
    timer: threading.Timer | None = field(default=None, repr=False)

    def tell(self, **command: Any) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended: its silence says so
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()

    def end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what it was to read is of no use any more
                assert pipe is not None
                pipe.close()


class Workers:
    """The processes of the site whose kit keeps `home`."""

    def __init__(self, home: Path) -> None:
        self._home, self._folder = home, home / OUTGOING
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._folder.iterdir():
            left.unlink()
        self._lock = threading.Lock()
        self._idle = [self._started()]
        self._busy: dict[str, _Worker] = {}

    def prepare(self) -> None:
        """Have one load torch: a request that needs it is coming."""
        with self._lock:
            if self._idle and not self._idle[0].has_torch:
                self._idle[0].has_torch = True
                self._idle[0].tell(torch=True)

    def answer(
        self, ticket: str, head: bytes, payload: Path | None, tell: OnProgress,
        *, needs_torch: bool,
    ) -> Worked:  # fmt: skip
        """Have a request answered; `tell` is told of its progress. A payload's name is the digest
        that its bytes had when they came. Raises WorkerLostError where the process ends before."""
        files = {name: self._folder / f"{ticket}.{name}" for name in ("asked", "head", "payload")}
        files["asked"].write_bytes(head)
        worker = self._taken(ticket, needs_torch)
        try:
            worker.tell(
                torch=needs_torch, head=str(files["asked"]), payload=str(payload or ""),
                digest=payload.name if payload else "",
                answer=str(files["head"]), answer_payload=str(files["payload"]),
            )  # fmt: skip
            done = self._heard(worker, tell)
            found = files["payload"] if done["digest"] else None
            return Worked(files["head"].read_bytes(), found, done["digest"], done["size"])
        finally:
            files["asked"].unlink(missing_ok=True)
            files["head"].unlink(missing_ok=True)
            self._free(worker)

    def end(self, ticket: str) -> None:
        """End the process that answers this request, if one does."""
        with self._lock:
            worker = self._busy.get(ticket)
        if worker is not None:
            worker.process.kill()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for worker in (*self._idle, *self._busy.values()):
                worker.end()

    def _heard(self, worker: _Worker, tell: OnProgress) -> dict[str, Any]:
        assert worker.process.stdout is not None
        for line in worker.process.stdout:
            message = json.loads(line)
            if "done" in message:
                done: dict[str, Any] = message["done"]
                return done
            tell(message)
        raise WorkerLostError(f"The process that answered ended ({worker.process.wait()}).")

    def _taken(self, ticket: str, needs_torch: bool) -> _Worker:
        with self._lock:
            worker = self._idle.pop() if self._idle else self._started()
            if worker.timer is not None:
                worker.timer.cancel()
                worker.timer = None
            if worker.process.poll() is not None:
                worker.end()
                worker = self._started()
            worker.ticket, worker.has_torch = ticket, worker.has_torch or needs_torch
            self._busy[ticket] = worker
            return worker

    def _free(self, worker: _Worker) -> None:
        """Of two that have nothing to do, the one that has torch stays: it is soon needed again."""
        with self._lock:
            del self._busy[worker.ticket]
            if worker.process.poll() is not None:
                worker.end()
                worker = self._started()
            rest = [worker, *self._idle]
            kept = next((one for one in rest if one.has_torch), worker)
            self._idle = [kept]
            if kept.has_torch and kept.timer is None:
                kept.timer = threading.Timer(LINGER, self._replace, args=[kept])
                kept.timer.daemon = True
                kept.timer.start()
        for other in rest:
            if other is not kept:
                other.end()

    def _replace(self, worker: _Worker) -> None:
        with self._lock:
            if worker not in self._idle:
                return
            self._idle = [self._started()]
        worker.end()

    def _started(self) -> _Worker:
        module = "roundelay.network.hospital.worker"
        environment = {key: text for key, text in os.environ.items() if key != ARENAS}
        return _Worker(
            subprocess.Popen(
                [sys.executable, "-m", module, str(self._home)], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            )
        )  # fmt: skip

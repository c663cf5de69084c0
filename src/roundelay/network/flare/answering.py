"""A site's part: it asks the server what there is to answer, and carries it there and back.

Each request has a thread that fetches it, has it answered by a process, and brings the answer away;
the loop tells the server every second how far they are. A call that fails is made again for as long
as the server wants an answer; what it no longer wants is given up, and its process ended.
"""

import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roundelay.errors import RefusedError
from roundelay.network.flare.blobs import Blobs, in_order, pieces_of
from roundelay.network.flare.calls import Missing, Polled
from roundelay.network.hospital.workers import Worked, WorkerLostError, Workers
from roundelay.network.wire.messages import LARGEST_HEAD
from roundelay.network.wire.parsing import parsed
from roundelay.network.wire.transport import ROOM, TOLD

Reply = tuple[dict[str, Any], bytes]

Call = Callable[[str, dict[str, Any], bytes], Reply]
"""A call to the server: what it is, its values, its bytes. Raises ConnectionError where the server
can't be reached, RefusedError where it says no."""

PULSE, IDLE = 1.0, 5.0
"""Seconds between two calls: while something is answered, or the server is away; and else."""

PAUSE = 0.5
"""Seconds after which a call that failed is tried again."""

MOST_TASKS = 8
"""Requests that are answered at once, each by a process: an honest coordinator has one or two."""

TIMES = 3
"""How often a payload is fetched whose bytes are others than announced."""

INCOMING = "incoming"


CARRIED = (
    "{time} {key} {size} bytes in {came:.2f} s, answered in {worked:.2f} s,"
    " {left} bytes out in {brought:.2f} s"
)
"""The line of the log that each answer leaves."""


class UnwantedError(Exception):
    """The server no longer wants this answer."""


@dataclass(slots=True)
class Task:
    """A request that is being answered here."""

    key: str
    ticket: str
    payload: str
    size: int
    needs_torch: bool
    start: str = field(default_factory=lambda: secrets.token_hex(16))
    told: dict[str, Any] = field(default_factory=dict)
    lost: bool = False
    out: str = ""
    unwanted: threading.Event = field(default_factory=threading.Event)


class Answering:
    """All that one site answers. `run` never ends; `wake` makes it look at once."""

    def __init__(self, home: Path, call: Call, workers: Workers) -> None:
        self._call, self._workers = call, workers
        self._blobs = Blobs(home / INCOMING, durable=False)
        self._tasks: dict[str, Task] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._newest, self._keeping = "", threading.Lock()
        self._awake, self._ahead = threading.Event(), threading.Thread()

    def wake(self, *_: object) -> None:
        self._awake.set()

    def run(self) -> None:
        while True:
            self._awake.clear()
            self._awake.wait(self.look())

    def look(self) -> float:
        """Ask the server what there is, begin with it; the seconds until the next time."""
        at_work = {
            task.ticket: {"start": task.start, "lost": task.lost, "told": task.told}
            for task in self._tasks.values()
        }
        try:
            found, _ = self._call("poll", {"at_work": at_work}, b"")
            self._follow(parsed(Polled, found, "What the server has for this site"))
        except ConnectionError:
            return PULSE
        except Exception:  # a server of another version, a full disk: it may pass
            traceback.print_exc(file=sys.stderr)
        return PULSE if self._tasks else IDLE

    def _follow(self, found: Polled) -> None:
        wanted = {one.ticket: one for one in found.wanted}
        for ticket in self._tasks.keys() - wanted.keys():
            self._tasks.pop(ticket).unwanted.set()
            self._workers.end(ticket)
        for ticket, one in wanted.items():
            if ticket not in self._tasks and one.ready and len(self._tasks) < MOST_TASKS:
                task = Task(one.key, ticket, one.payload, one.size, one.needs_torch)
                self._tasks[ticket] = task
                threading.Thread(target=self._answer, args=[task], daemon=True).start()
        if found.soon or any(one.needs_torch for one in wanted.values()):
            self._workers.prepare()
        soon = dict(found.soon)
        named = {one.payload for one in wanted.values()}
        with self._keeping:
            going = {task.out for task in self._tasks.values()}
            self._blobs.keep_only({*soon, *named, *going, self._newest})
        for digest, size in soon.items():
            if self._blobs.has(digest) or digest in self._fetching or self._ahead.is_alive():
                continue
            self._ahead = threading.Thread(
                target=self._fetch_ahead, args=[digest, size], daemon=True
            )
            self._ahead.start()

    def _answer(self, task: Task) -> None:
        try:
            self._carry(task)
        except UnwantedError:
            return
        except Exception:  # said to the server: whoever asked decides whether it is tried again
            traceback.print_exc(file=sys.stderr)
            task.lost = True
        self.wake()

    def _carry(self, task: Task) -> None:
        began = time.monotonic()
        _, head = self._insist(task, "head", {"key": task.key})
        if len(head) > LARGEST_HEAD + ROOM:
            raise RefusedError("The head of a request is too large.")
        self._fetch(task)
        came = time.monotonic()

        def tell(progress: dict[str, Any]) -> None:
            task.told = {name: progress[name] for name in TOLD if name in progress}

        payload = self._blobs.path(task.payload) if task.payload else None
        try:
            done = self._workers.answer(
                task.ticket, head, payload, tell, needs_torch=task.needs_torch
            )
        except WorkerLostError:
            if task.unwanted.is_set():
                raise UnwantedError from None
            raise
        answered = time.monotonic()
        self._bring(task, done)
        _log(task, done, (came - began, answered - came, time.monotonic() - answered))

    def _bring(self, task: Task, done: Worked) -> None:
        if done.payload is not None:
            with self._keeping:
                self._blobs.adopt(done.payload, done.digest)
                task.out = self._newest = done.digest
        said = {"key": task.key, "ticket": task.ticket, "payload": done.digest, "size": done.size}
        while parsed(
            Missing, self._insist(task, "answered", said, done.head)[0], "What the server lacks"
        ).missing:
            values = {"key": task.key, "payload": done.digest, "size": done.size}

            def send(index: int, values: dict[str, Any] = values) -> None:
                piece = self._blobs.piece(done.digest, index)
                self._insist(task, "send", {**values, "index": index}, piece)

            for _ in in_order(send, pieces_of(done.size)):
                pass

    def _fetch(self, task: Task) -> None:
        """The request's payload, unless it is here: fetched ahead, or made here."""
        with self._fetching.setdefault(task.payload, threading.Lock()):
            for turn in range(TIMES):
                if self._blobs.has(task.payload):
                    return
                values = {"key": task.key, "payload": task.payload}

                def fetch(index: int, values: dict[str, Any] = values) -> bytes:
                    return self._insist(task, "fetch", {**values, "index": index})[1]

                try:
                    self._take(task.payload, task.size, fetch)
                except RefusedError:
                    if turn == TIMES - 1:
                        raise
            if not self._blobs.has(task.payload):
                raise RefusedError("The payload of a request didn't come.")

    def _fetch_ahead(self, digest: str, size: int) -> None:
        """What a request may come with soon; nothing is done with it until one does."""
        values = {"key": "", "payload": digest}
        with self._fetching.setdefault(digest, threading.Lock()):
            try:
                if not self._blobs.has(digest):
                    self._take(
                        digest, size, lambda i: self._call("fetch", {**values, "index": i}, b"")[1]
                    )
            except (OSError, RefusedError):
                return  # the request itself brings it, or says why not

    def _take(self, digest: str, size: int, fetch: Callable[[int], bytes]) -> None:
        for index, piece in enumerate(in_order(fetch, pieces_of(size))):
            self._blobs.add(digest, size, index, piece, by="server")

    def _insist(self, task: Task, topic: str, values: dict[str, Any], data: bytes = b"") -> Reply:
        """A call that is made until it succeeds, or its answer is no longer wanted."""
        while not task.unwanted.is_set():
            try:
                return self._call(topic, values, data)
            except ConnectionError:
                task.unwanted.wait(PAUSE)
            except RefusedError:
                self.wake()
                if task.unwanted.wait(PAUSE):
                    break
                raise
        raise UnwantedError


def _log(task: Task, done: Worked, seconds: tuple[float, float, float]) -> None:
    came, worked, brought = seconds
    line = CARRIED.format(
        time=datetime.now(UTC).isoformat(timespec="milliseconds"), key=task.key[:12],
        size=task.size, came=came, worked=worked, left=done.size, brought=brought,
    )  # fmt: skip
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

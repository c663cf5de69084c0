"""The server's part: it keeps a request until its site comes for it, and the answer until the
coordinator does. It knows who is there and how far each is, and nothing of what the bytes mean.
"""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roundelay.errors import RefusedError
from roundelay.network.flare.blobs import Blobs
from roundelay.network.flare.calls import (
    OF_COORDINATOR,
    OF_SITE,
    Answered,
    AtWork,
    Key,
    Keys,
    Nothing,
    Piece,
    Poll,
    Put,
    SentPiece,
)
from roundelay.network.flare.spool import Spool, Waiting
from roundelay.network.wire.messages import LARGEST_HEAD
from roundelay.network.wire.parsing import parsed
from roundelay.network.wire.transport import ROOM, TOLD
from roundelay.records.signatures import COORDINATOR

Reply = tuple[dict[str, Any], bytes]

NO_BYTES = b""


@dataclass(slots=True)
class Live:
    """What was heard of a request since the server began: `start` names the site's beginning with
    it, `pieces` which pieces of it have moved, `too_large` an answer that may not come, `out` the
    payload that its site sends."""

    start: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    lost: bool = False
    pieces: set[tuple[str, int]] = field(default_factory=set)
    too_large: int = 0
    out: str = ""
    moved: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)


class RequestQueue:
    """`folder` holds what must outlive the server. `wake` is told of a site that has something to
    fetch."""

    def __init__(self, folder: Path, wake: Callable[[str], None] = lambda site: None) -> None:
        self._spool = Spool(folder / "requests")
        self._blobs = Blobs(folder / "payloads", durable=True)
        self._live: dict[str, Live] = {}
        self._soon: dict[str, tuple[str, int]] = {}
        self._heard: dict[str, float] = {}
        self._lock, self._wake = threading.RLock(), wake

    def serve(self, who: str, topic: str, values: dict[str, Any], data: bytes) -> Reply:
        """Answer a call of the coordinator or a site. Raises RefusedError for any other call."""
        calls = OF_COORDINATOR if who == COORDINATOR else OF_SITE
        if topic not in calls:
            raise RefusedError("This version of the server does not answer to that call.")
        asked = parsed(calls[topic], values, "The call")
        if who != COORDINATOR:
            self._heard[who] = time.monotonic()
        reply: Reply = getattr(self, f"_{topic}")(who, asked, data)
        return reply

    def _put(self, who: str, asked: Put, data: bytes) -> Reply:
        """A request that is here already is the same one, also of a coordinator killed since."""
        with self._lock:
            if len(data) > LARGEST_HEAD + ROOM:
                raise RefusedError("The head of a message is too large.")
            if asked.key not in self._spool.waiting:
                self._spool.put(asked, secrets.token_hex(16), data)
                self._live[asked.key] = Live()
            self._soon.pop(asked.site, None)
            self._sweep()
        self._wake(asked.site)
        return {"missing": not self._blobs.has(asked.payload)}, NO_BYTES

    def _send(self, who: str, asked: SentPiece, data: bytes) -> Reply:
        request = self._request(who, asked.key)
        if who != COORDINATOR:
            self._refuse_much(request, asked)
        elif (asked.payload, asked.size) != (request.payload, request.size):
            raise RefusedError("That payload does not belong to this request.")
        self._blobs.add(asked.payload, asked.size, asked.index, bytes(data), by=who)
        if who == COORDINATOR:
            if self._blobs.has(asked.payload):
                self._wake(request.site)
        else:
            self._moved(request, ("sent", asked.index))
        return {}, NO_BYTES

    def _refuse_much(self, request: Waiting, asked: SentPiece) -> None:
        """Of each request a site may have one payload here, no larger than its answer may be."""
        if asked.size > request.most:
            self._refuse_too_large(request, asked.size)
        live = self._of(request.key)
        if live.out not in ("", asked.payload) and live.out not in self._spool.payloads():
            self._blobs.remove(live.out)
        live.out = asked.payload

    def _look(self, who: str, asked: Keys, data: bytes) -> Reply:
        now = time.monotonic()
        with self._lock:
            sites = {site: round(now - heard, 1) for site, heard in self._heard.items()}
            requests = {key: self._state(key, now) for key in asked.keys}
        return {"sites": sites, "requests": requests}, NO_BYTES

    def _state(self, key: str, now: float) -> dict[str, Any] | None:
        if key not in self._spool.waiting:
            return None
        live, found = self._of(key), self._spool.found.get(key)
        return {
            **live.told, "start": live.start, "lost": live.lost, "pieces": len(live.pieces),
            "silent": round(now - live.moved, 1), "mute": round(now - live.heard, 1),
            "answered": found is not None or bool(live.too_large),
            "size": found.size if found else live.too_large,
            "payload": found.payload if found else "",
        }  # fmt: skip

    def _answer(self, who: str, asked: Key, data: bytes) -> Reply:
        if asked.key not in self._spool.found:
            raise RefusedError("There is no such answer.")
        return {}, self._spool.head(asked.key, answer=True)

    def _fetch(self, who: str, asked: Piece, data: bytes) -> Reply:
        """A site gets the payloads of its own requests, and the one that it is to have next."""
        if who != COORDINATOR:
            with self._lock:
                soon = self._soon.get(who, ("", 0))[0]
                own = {one.payload for one in self._spool.of(who)}
            if asked.payload not in {soon, *own}:
                raise RefusedError("That payload is no longer here.")
        piece = self._blobs.piece(asked.payload, asked.index)
        if who != COORDINATOR and asked.key:
            self._moved(self._request(who, asked.key), ("fetched", asked.index))
        return {}, piece

    def _remove(self, who: str, asked: Keys, data: bytes) -> Reply:
        """An answer's payload stays until the next request: that may be sent on with it."""
        with self._lock:
            gone = [self._spool.waiting[k] for k in asked.keys if k in self._spool.waiting]
            for one in gone:
                answered = one.key in self._spool.found
                self._spool.remove(one.key)
                self._live.pop(one.key, None)
                if not answered:
                    self._wake(one.site)
        return {}, NO_BYTES

    def _clear(self, who: str, asked: Nothing, data: bytes) -> Reply:
        with self._lock:
            self._soon.clear()
            self._sweep()
        return {}, NO_BYTES

    def _poll(self, who: str, asked: Poll, data: bytes) -> Reply:
        with self._lock:
            own = list(self._spool.of(who))
            for one in own:
                if one.ticket in asked.at_work:
                    self._note(one.key, asked.at_work[one.ticket])
            soon = [self._soon[who]] if who in self._soon else []
        wanted = [
            {"key": one.key, "ticket": one.ticket, "payload": one.payload, "size": one.size,
             "ready": self._blobs.has(one.payload), "needs_torch": one.needs_torch}
            for one in own
        ]  # fmt: skip
        return {"wanted": wanted, "soon": [list(one) for one in soon]}, NO_BYTES

    def _head(self, who: str, asked: Key, data: bytes) -> Reply:
        return {}, self._spool.head(self._request(who, asked.key).key)

    def _answered(self, who: str, asked: Answered, data: bytes) -> Reply:
        request = self._request(who, asked.key)
        if asked.ticket != request.ticket:
            raise RefusedError("That request was sent again since.")
        if asked.size > request.most or len(data) > LARGEST_HEAD + ROOM:
            return self._refuse_too_large(request, max(asked.size, len(data)))
        if not self._blobs.has(asked.payload):
            return {"missing": True}, NO_BYTES
        size = self._blobs.size(asked.payload) if asked.payload else 0
        with self._lock:
            self._spool.answered(asked.model_copy(update={"size": size}), bytes(data))
            self._soon |= {site: (asked.payload, size) for site in request.then if asked.payload}
        for site in request.then:
            self._wake(site)
        return {"missing": False}, NO_BYTES

    def _request(self, who: str, key: str) -> Waiting:
        """One of the party's own."""
        found = self._spool.waiting.get(key)
        if found is None or who not in (COORDINATOR, found.site):
            raise RefusedError("There is no such request any more.")
        return found

    def _refuse_too_large(self, request: Waiting, size: int) -> Reply:
        self._of(request.key).too_large = size
        raise RefusedError("The answer is larger than it may be.")

    def _note(self, key: str, said: AtWork) -> None:
        """Nothing but numbers of a site's progress goes further. Whether a step more is one counts
        where the request was made."""
        live, now = self._of(key), time.monotonic()
        told = {k: said.told[k] for k in TOLD if isinstance(said.told.get(k), int | float)}
        if told != live.told or said.start != live.start:
            live.moved = now
        live.start, live.told, live.lost, live.heard = said.start, told, said.lost, now

    def _moved(self, request: Waiting, piece: tuple[str, int]) -> None:
        """A piece that moved for the first time is progress, as often as there are pieces."""
        live = self._of(request.key)
        if piece not in live.pieces:
            live.pieces.add(piece)
            live.moved = live.heard = time.monotonic()

    def _of(self, key: str) -> Live:
        return self._live.setdefault(key, Live())

    def _sweep(self) -> None:
        self._blobs.keep_only(
            self._spool.payloads() | {digest for digest, _ in self._soon.values()}
        )

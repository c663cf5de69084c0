"""Requests over NVIDIA FLARE: the server keeps each until its site comes for it, and the answer
until it is taken; no job is started.

What proves success is the answer. What proves life is progress from the site: a step more, of those
that were asked for, or a piece more of what travels.
"""

import contextlib
import hashlib
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from roundelay.errors import CourierError, NetworkError, SiteAbsentError
from roundelay.network.flare.blobs import PIECE, in_order, length_of, pieces_of
from roundelay.network.flare.calls import Looked, Missing, State
from roundelay.network.flare.delivery import Delivery, moved_on
from roundelay.network.flare.session import Session
from roundelay.network.wire.messages import Parts, payload_of
from roundelay.network.wire.parsing import parsed
from roundelay.network.wire.transport import OnProgress, Request, too_large

POLL = 0.1

TRIES = 3

MUTE_SECONDS, START_SECONDS = 20.0, 40.0
"""A site says every second what it works on: a request that it hasn't named for so long is lost, or
was never begun."""

SILENT_SECONDS = 30.0
"""A site calls every five seconds: one that wasn't heard of for so long is away."""

FORGOTTEN_SECONDS = 600.0
"""After so long it no longer counts as connected."""


class FlareTransport:
    """A session with the network's server, from the coordinator's kit.

    `patience` is how long a site that isn't there is waited for, `stuck_after` how long one that
    is there may be without progress, both in seconds.
    """

    def __init__(self, kit: Path, *, patience: float, stuck_after: float) -> None:
        self._session = Session(kit, patience=patience)
        self._patience, self._stuck_after = patience, stuck_after
        self._here: set[str] = set()

    def exchange(self, requests: Sequence[Request], on_progress: OnProgress) -> list[Parts]:
        deliveries = [Delivery(request) for request in requests]
        server = Request("the server", "", Parts(b""))
        self._session.on_wait = lambda why: on_progress(server, {"waits": why})
        try:
            for delivery in deliveries:
                self._begin(delivery)
            while waiting := [delivery for delivery in deliveries if delivery.answer is None]:
                states = self._states([delivery.request.key for delivery in waiting])
                for delivery in waiting:
                    self._look(delivery, states.get(delivery.request.key), on_progress)
                if any(delivery.answer is None for delivery in waiting):
                    time.sleep(POLL)
        except Exception:
            keys = [delivery.request.key for delivery in deliveries]
            self._if_it_goes("remove", {"keys": keys})
            raise
        return [delivery.answer for delivery in deliveries if delivery.answer is not None]

    def connected(self) -> set[str]:
        """Sites that the server counts as connected; it forgets one after ten silent minutes."""
        heard = self._looked([]).sites
        return {site for site, seconds in heard.items() if seconds < FORGOTTEN_SECONDS}

    def present(self) -> set[str]:
        self._states([])
        return set(self._here)

    def close(self) -> None:
        """Free the server's disk, then let go of the session."""
        self._if_it_goes("clear", {})
        self._session.close()

    def _if_it_goes(self, topic: str, values: dict[str, Any]) -> None:
        """A call that frees the server's disk; one that is away is not waited for once more."""
        if self._session.is_open:
            with contextlib.suppress(CourierError, NetworkError):  # the first error is told
                self._session.ask(topic, values, patience=0.0)

    def _states(self, keys: Sequence[str]) -> Mapping[str, State | None]:
        found = self._looked(keys)
        self._here = {site for site, seconds in found.sites.items() if seconds < SILENT_SECONDS}
        return found.requests

    def _looked(self, keys: Sequence[str]) -> Looked:
        found, _ = self._session.ask("look", {"keys": list(keys)})
        return parsed(Looked, found, "What the server says of requests")

    def _begin(self, delivery: Delivery) -> None:
        """Send the request, or go on with the one that a killed coordinator left at work."""
        request, message = delivery.request, delivery.request.message
        digest = payload_of(message)
        values = {
            "site": request.site, "key": request.key, "payload": digest,
            "size": len(message.payload), "most": request.most,
            "needs_torch": request.needs_torch, "then": list(request.then),
        }  # fmt: skip
        delivery.tries += 1
        while parsed(
            Missing, self._session.ask("put", values, message.head)[0], "What the server lacks"
        ).missing:
            self._send(request.key, digest, message.payload)
        delivery.begin()

    def _send(self, key: str, digest: str, payload: bytes) -> None:
        values = {"key": key, "payload": digest, "size": len(payload)}

        def send(index: int) -> None:
            piece = payload[index * PIECE : (index + 1) * PIECE]
            self._session.ask("send", {**values, "index": index}, piece)

        for _ in in_order(send, pieces_of(len(payload))):
            pass

    def _look(self, delivery: Delivery, state: State | None, on_progress: OnProgress) -> None:
        if state is None:  # the server was restored from another day
            self._again(delivery, "is no longer known to the server")
            return
        if state.answered:
            self._take(delivery, state.payload, state.size)
            return
        if state.lost:
            self._again(delivery, "was lost: its process ended, or its bytes could not be moved")
            return
        if state.start != delivery.start:
            self._begun(delivery, state.start)
        delivery.heard = max(delivery.heard, time.monotonic() - state.mute)
        if moved_on(delivery, state.pieces, state.step):
            delivery.moved = max(delivery.moved, time.monotonic() - state.silent)
        if state.step:
            on_progress(delivery.request, state.told())
        self._wait(delivery, on_progress)

    def _begun(self, delivery: Delivery, start: str) -> None:
        """Its site has begun with it; anew, where it was killed in between."""
        if delivery.start and start and delivery.present:
            delivery.tries += 1
            if delivery.tries > TRIES:
                self._give_up(delivery, "was lost: its site was started again")
        delivery.begin(start or delivery.start)

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
            delivery.present, delivery.moved, delivery.heard = True, now, now
        if now - delivery.heard > (MUTE_SECONDS if delivery.start else START_SECONDS):
            self._again(delivery, "was lost: its site no longer works on it")
        elif now - delivery.moved > self._stuck_after:
            self._again(delivery, f"did nothing for {self._stuck_after:g} s")

    def _take(self, delivery: Delivery, digest: str, size: int) -> None:
        """Fetch the answer: its payload grows in the one place where it stays."""
        request = delivery.request
        if size > request.most:
            raise CourierError(f"{request.about}: {too_large(size, request)} Nothing was kept.")
        _, head = self._session.ask("answer", {"key": request.key})
        values = {"key": request.key, "payload": digest}

        def fetch(index: int) -> bytes:
            piece = self._session.ask("fetch", {**values, "index": index})[1]
            if len(piece) != length_of(index, size):
                raise CourierError(
                    f"{request.about}: the server gave other bytes than the answer has. Nothing was"
                    " kept; go on with --resume."
                )
            return piece

        payload, found = BytesIO(), hashlib.sha256()
        for piece in in_order(fetch, pieces_of(size)):
            payload.write(piece)
            found.update(piece)  # while others travel
        self._remove([request.key])
        delivery.answer = Parts(bytes(head), payload.getvalue(), found.hexdigest())

    def _again(self, delivery: Delivery, why: str) -> None:
        self._remove([delivery.request.key])
        if delivery.request.site not in self._here:
            delivery.tries -= 1  # it left; that is no fault of the request
        if delivery.tries >= TRIES:
            self._give_up(delivery, why)
        self._begin(delivery)

    def _give_up(self, delivery: Delivery, why: str) -> None:
        raise CourierError(
            f"{delivery.request.about} {why}, {TRIES} times. Its own log (roundelay/log.txt in"
            " its kit) says more. What was handed over is kept; go on with --resume."
        )

    def _remove(self, keys: Sequence[str]) -> None:
        self._session.ask("remove", {"keys": list(keys)})

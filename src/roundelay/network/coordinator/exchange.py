"""Questions to sites and their signed answers, over any transport."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roundelay.errors import CourierError, RefusedError, VisitError
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import Message, pack, unpack
from roundelay.network.wire.proposal import Roster
from roundelay.network.wire.transport import Request, Transport

OnMessage = Callable[[str, Mapping[str, Any]], None]
"""Told of a site's message on its progress."""


def introduce(
    transport: Transport, sites: Sequence[str], keys: Keys, on_message: OnMessage
) -> dict[str, Message]:
    """Who each site is: public keys, versions, clock, days left on its certificate."""
    messages = {
        site: pack({"ask": "introduce", "site": site, "time": time.time()}, b"", keys)
        for site in sites
    }
    replies = exchange(transport, messages, "who it is", on_message, needs_torch=False)
    for site, reply in replies.items():
        public = reply.head.get("keys")
        if not isinstance(public, dict):
            raise CourierError(f"{site} did not say who it is. Its own log says more.")
        reply.check(public, site)
    return replies


def ask(
    transport: Transport,
    messages: Mapping[str, bytes],
    roster: Roster,
    about: str,
    on_message: OnMessage,
) -> dict[str, Message]:
    """Ask sites side by side; their answers by site. Raises what a site says went wrong."""
    replies = exchange(transport, messages, about, on_message)
    for site, reply in replies.items():
        reply.check(roster[site], site)
        if "refused" in reply.head:
            raise RefusedError(
                f"{site} refused: {reply.head['refused']}\nWhat was handed over is kept; once that"
                " is settled, go on with --resume."
            )
        if "failed" in reply.head:
            raise VisitError(
                f"{site} failed: {reply.head['failed']}. Its own log says more. What was handed"
                " over is kept; go on with --resume."
            )
    return replies


def exchange(
    transport: Transport, messages: Mapping[str, bytes], about: str, on_message: OnMessage,
    *, needs_torch: bool = True,
) -> dict[str, Message]:  # fmt: skip
    """Answers that belong to these questions; who signed them is not checked yet."""
    requests = [
        Request(site, hashlib.sha256(message).hexdigest(), f"{site}, {about}", message, needs_torch)
        for site, message in messages.items()
    ]
    answers = transport.exchange(
        requests, lambda request, message: on_message(request.site, message)
    )
    replies = {}
    for request, answer in zip(requests, answers, strict=True):
        reply = unpack(answer)
        if reply.head.get("request") != request.key or reply.head.get("site") != request.site:
            raise CourierError(f"{request.about}: the answer belongs to another question.")
        replies[request.site] = reply
    return replies

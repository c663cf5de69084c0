"""Questions to sites and their signed answers, over any transport."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roundelay.errors import CourierError, RefusedError, VisitError
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import Message, pack, unpack
from roundelay.network.wire.proposal import Roster
from roundelay.network.wire.transport import Errand, Transport

OnWord = Callable[[str, Mapping[str, Any]], None]
"""Told of a site's word of progress."""


def introduce(
    transport: Transport, sites: Sequence[str], keys: Keys, on_word: OnWord
) -> dict[str, Message]:
    """Who each site is: public keys, versions, clock, days left on its certificate."""
    requests = {
        site: pack({"ask": "introduce", "site": site, "time": time.time()}, b"", keys)
        for site in sites
    }
    replies = exchange(transport, requests, "who it is", on_word, learns=False)
    for site, reply in replies.items():
        public = reply.head.get("keys")
        if not isinstance(public, dict):
            raise CourierError(f"{site} did not say who it is. Its own log says more.")
        reply.check(public, site)
    return replies


def ask(
    transport: Transport, requests: Mapping[str, bytes], roster: Roster, about: str, on_word: OnWord
) -> dict[str, Message]:
    """Ask sites side by side; their answers by site. Raises what a site says went wrong."""
    replies = exchange(transport, requests, about, on_word)
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
    transport: Transport, requests: Mapping[str, bytes], about: str, on_word: OnWord,
    *, learns: bool = True,
) -> dict[str, Message]:  # fmt: skip
    """Answers that belong to these questions; who signed them is not checked yet."""
    errands = [
        Errand(site, hashlib.sha256(request).hexdigest(), f"{site}, {about}", request, learns)
        for site, request in requests.items()
    ]
    answers = transport.exchange(errands, lambda errand, word: on_word(errand.site, word))
    replies = {}
    for errand, answer in zip(errands, answers, strict=True):
        reply = unpack(answer)
        if reply.head.get("request") != errand.key or reply.head.get("site") != errand.site:
            raise CourierError(f"{errand.about}: the answer belongs to another question.")
        replies[errand.site] = reply
    return replies

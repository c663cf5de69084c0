"""Questions to sites and their signed answers, over any transport."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roundelay.errors import CourierError, RefusedError, VisitError
from roundelay.network.wire.inventory import mismatches
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import Message, Parts, pack, unpack
from roundelay.network.wire.proposal import Roster
from roundelay.network.wire.replies import Introduced, complaint, inventory_in, parsed_reply
from roundelay.network.wire.transport import Request, Transport, too_large
from roundelay.study.data_section import Data

OnMessage = Callable[[str, Mapping[str, Any]], None]
"""Told of a site's message on its progress."""

NONE: Mapping[str, int] = {}


def introduce(
    transport: Transport, sites: Sequence[str], keys: Keys, on_message: OnMessage
) -> dict[str, Introduced]:
    """Who each site is: public keys, versions, clock, days left on its certificate."""
    messages = {
        site: pack({"ask": "introduce", "site": site, "time": time.time()}, b"", keys)
        for site in sites
    }
    replies = exchange(transport, messages, "who it is", on_message, needs_torch=False)
    return {site: _introduced(site, reply) for site, reply in replies.items()}


def _introduced(site: str, reply: Message) -> Introduced:
    raise_complaint(site, reply)
    said = parsed_reply(Introduced, reply.head, site)
    reply.check(said.keys.model_dump(), site)
    return said


def ask(
    transport: Transport,
    messages: Mapping[str, Parts],
    roster: Roster,
    about: str,
    on_message: OnMessage,
    steps: Mapping[str, int] = NONE,
    *,
    data: Data | None = None,
    then: tuple[str, ...] = (),
) -> dict[str, Message]:
    """Ask sites side by side; their answers by site, whose payloads go on to the sites `then`.

    Raises what a site says went wrong, and with the `data` of a study why its exams don't fit; that
    it waits for its operator is an answer.
    """
    replies = exchange(transport, messages, about, on_message, steps=steps, then=then)
    for site, reply in replies.items():
        reply.check(roster[site], site)
    if data is not None:
        raise_unfit(replies, data)
    for site, reply in replies.items():
        raise_complaint(site, reply)
    return replies


def raise_unfit(replies: Mapping[str, Message], data: Data) -> None:
    """Raise VisitError where exams of sites don't fit a study, and how, all sites at once."""
    found = [f"{site} {unlike}." for site, reply in replies.items()
             if (unlike := _unlike(site, reply, data))]  # fmt: skip
    if found:
        raise VisitError(
            f"The study doesn't fit the exams of {len(found)} of its sites:\n"
            + "\n".join(f"  {one}" for one in found)
            + "\nChange its channels or labels, or ask their operators to say in a site.toml what"
            " they have otherwise (their own logs name every fault)."
        )


def raise_complaint(site: str, reply: Message) -> None:
    kind, said = complaint(reply.head) or ("", "")
    if kind == "refused":
        raise RefusedError(
            f"{site} refused: {said}\nWhat was handed over is kept; once that is settled, go on"
            " with --resume."
        )
    if kind == "failed":
        raise VisitError(
            f"{site} failed: {said}. Its own log says more. What was handed over is kept; go on"
            " with --resume."
        )


def _unlike(site: str, reply: Message, data: Data) -> str:
    if "failed" not in reply.head or (found := inventory_in(reply.head, site)) is None:
        return ""
    return "; ".join(mismatches(found, data))


def exchange(
    transport: Transport, messages: Mapping[str, Parts], about: str, on_message: OnMessage,
    *, needs_torch: bool = True, steps: Mapping[str, int] = NONE, then: tuple[str, ...] = (),
) -> dict[str, Message]:  # fmt: skip
    """Answers that belong to these questions; who signed them is not checked yet. `steps` are how
    many a site's progress may count."""
    requests = [
        Request(site, f"{site}, {about}", message, needs_torch, steps.get(site, 0), then)
        for site, message in messages.items()
    ]
    answers = transport.exchange(
        requests, lambda request, message: on_message(request.site, message)
    )
    replies = {}
    for request, answer in zip(requests, answers, strict=True):
        if len(answer) > request.most:
            raise CourierError(f"{request.about}: {too_large(len(answer), request)}")
        try:
            reply = unpack(answer)
        except RefusedError as error:
            raise RefusedError(f"{request.about}: {error}") from error
        if reply.head.get("request") != request.key or reply.head.get("site") != request.site:
            raise CourierError(f"{request.about}: the answer belongs to another question.")
        replies[request.site] = reply
    return replies

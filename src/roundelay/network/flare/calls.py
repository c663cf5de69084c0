"""What coordinator and sites may ask of the server, and what it replies: each with its values.

None of the three trusts another: what comes is parsed where it comes. The bytes of a call (a
message's head, a piece of its payload) stand beside the values.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from roundelay.network.wire.parsing import Count, Digest, ManyCount, Name, Part
from roundelay.network.wire.transport import TOLD

Payload = Digest | Annotated[str, Field(max_length=0)]
"""A payload by its digest; empty where a message has none."""

Ticket = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""One delivery of a request: sent again, it has another one."""


Seconds = Annotated[float, Field(ge=0)]


def _number_or_none(given: object) -> object:
    """A site's own words are nobody else's fault: what is no number is as good as not said."""
    return given if type(given) in (int, float) else None


Number = Annotated[int | float | None, BeforeValidator(_number_or_none)]


def _as_tuple(given: object) -> object:
    return tuple(given) if isinstance(given, list) else given  # what is packed knows no tuples


class Put(Part):
    """The coordinator: have `site` answer the message of this head."""

    site: Name
    key: Digest
    payload: Payload
    size: ManyCount
    most: ManyCount
    needs_torch: bool
    then: Annotated[tuple[Name, ...], BeforeValidator(_as_tuple), Field(max_length=1000)]


class Piece(Part):
    """Anybody: this piece of a payload. `key` is the request that it belongs to."""

    key: Payload
    payload: Digest
    index: Count


class SentPiece(Piece):
    """Here is a piece of the payload of a request, of its answer."""

    size: ManyCount


class Keys(Part):
    """The coordinator: how far are these requests; forget them."""

    keys: Annotated[tuple[Digest, ...], BeforeValidator(_as_tuple), Field(max_length=100_000)]


class Key(Part):
    """The head of this request; of its answer."""

    key: Digest


class Nothing(Part):
    """No values."""


class AtWork(Part):
    """What a site says of a request that it works on: `start` is drawn at each beginning."""

    start: Ticket
    lost: bool
    told: dict[str, Any]


class Poll(Part):
    """A site: I am here, and work on these; what else is there?"""

    at_work: Annotated[dict[Ticket, AtWork], Field(max_length=1000)]


class Answered(Part):
    """A site: here is the head of the answer, and this its payload."""

    key: Digest
    ticket: Ticket
    payload: Payload
    size: ManyCount


class Wanted(Part):
    """The server, to a site: a request that it has for it; `ready`, once its payload is there."""

    key: Digest
    ticket: Ticket
    payload: Payload
    size: ManyCount
    ready: bool
    needs_torch: bool


class Polled(Part):
    """The server, to a site: what it has for it, and what it may fetch ahead."""

    wanted: Annotated[tuple[Wanted, ...], BeforeValidator(_as_tuple), Field(max_length=1000)]
    soon: Annotated[
        tuple[Annotated[tuple[Digest, ManyCount], BeforeValidator(_as_tuple)], ...],
        BeforeValidator(_as_tuple),
        Field(max_length=1),
    ]


class State(Part):
    """The server, to the coordinator: how far a request is. `mute` and `silent` are seconds."""

    start: Ticket | Annotated[str, Field(max_length=0)]
    lost: bool
    pieces: Count
    silent: Seconds
    mute: Seconds
    answered: bool
    size: ManyCount
    payload: Payload
    step: Number = None
    loss: Number = None
    slices_per_second: Number = None

    def told(self) -> dict[str, int | float]:
        """What the site said of its progress."""
        values = {name: getattr(self, name) for name in TOLD}
        return {name: value for name, value in values.items() if value is not None}


class Looked(Part):
    """The server, to the coordinator: who was heard of how many seconds ago; how far requests
    are."""

    sites: dict[Name, Seconds]
    requests: dict[Digest, State | None]


class Missing(Part):
    """The server: whether bytes that a request or an answer names have yet to come."""

    missing: bool


OF_COORDINATOR: Mapping[str, type[Part]] = {
    "put": Put, "send": SentPiece, "look": Keys, "answer": Key, "fetch": Piece, "remove": Keys,
    "clear": Nothing,
}  # fmt: skip

OF_SITE: Mapping[str, type[Part]] = {
    "poll": Poll, "head": Key, "fetch": Piece, "send": SentPiece, "answered": Answered,
}  # fmt: skip

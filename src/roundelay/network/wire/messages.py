"""A signed message: a head, and beside it a payload, which travel as they are.

The head is four bytes of length, canonical JSON and a signature; it carries the payload's SHA-256,
so that the signature covers both.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roundelay.errors import RefusedError
from roundelay.files.canonical import canonical_json
from roundelay.network.wire.keys import Keys
from roundelay.records.signatures import Public, signed_by

SIGNATURE = 64

LARGEST_HEAD = 2 << 20
"""Bytes of a head: room for the study, the keys and the numbers of a thousand sites. A longer one
is refused before it is read."""

DEEPEST = 20
"""Tables within tables of a head; a request has eight."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A message as it travels. A payload is as large as a model: it is never copied to be put
    behind its head.

    `digest` is the payload's where its bytes were digested on this machine before; `file` is where
    they lie too, whole and never changed, if they do.
    """

    head: bytes
    payload: bytes = field(default=b"", repr=False)
    digest: str = field(default="", compare=False)
    file: Path | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """Names the message, payload and all: its head carries the payload's digest."""
        return hashlib.sha256(self.head).hexdigest()

    def __len__(self) -> int:
        return len(self.head) + len(self.payload)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a hospital says, not yet signed: a head, and a payload with its digest, where that is
    known, and the file in which it lies."""

    head: dict[str, Any]
    payload: bytes = field(default=b"", repr=False)
    digest: str = ""
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What was sent. Nothing in it is to be believed before `check` found who signed it. `digest`
    is the payload's."""

    head: Mapping[str, Any]
    payload: bytes = field(repr=False)
    digest: str
    signed: bytes
    signature: str

    def check(self, public: Public, who: str) -> None:
        """Raise RefusedError unless the holder of these keys signed the message."""
        if not signed_by(public, self.signed, self.signature):
            raise RefusedError(
                f"A message that should come from {who} isn't signed by {who}, as it was known when"
                " the run began."
            )


def pack(
    head: Mapping[str, Any], payload: bytes, keys: Keys, digest: str = "", file: Path | None = None
) -> Parts:
    """A message, signed. `digest` is the payload's, where it is known; `file` where it lies."""
    digest = digest or hashlib.sha256(payload).hexdigest()
    signed = canonical_json({**head, "payload": digest})
    framed = [len(signed).to_bytes(4, "big"), signed, bytes.fromhex(keys.sign(signed))]
    return Parts(b"".join(framed), payload, file=file)


def payload_of(parts: Parts) -> str:
    """The digest of its payload, as a message that was packed here names it; empty where it has
    none."""
    named = json.loads(parts.head[4:-SIGNATURE])["payload"]
    return str(named) if parts.payload else ""


def unpack(parts: Parts) -> Message:
    """Read a message. Raises RefusedError where it is cut, altered or none."""
    data = parts.head
    try:
        size = int.from_bytes(data[:4], "big")
        if not 2 <= size <= LARGEST_HEAD or len(data) != 4 + size + SIGNATURE:
            raise ValueError("cut")
        signed = data[4 : 4 + size]
        head = json.loads(signed)
        digest = parts.digest or hashlib.sha256(parts.payload).hexdigest()
        if not isinstance(head, dict) or head["payload"] != digest:
            raise ValueError("altered")
        refuse_odd_values(head)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError("A message was cut or altered between its sender and here.") from error
    return Message(head, parts.payload, digest, signed, data[4 + size :].hex())


def refuse_odd_values(value: Any, deepest: int = DEEPEST) -> None:
    """Raise ValueError for what JSON can write and no party ever writes: numbers that aren't finite
    or beyond 64 bits, halves of letters, lists within lists within lists."""
    if isinstance(value, dict | list):
        if not deepest:
            raise ValueError("too deep")
        for one in value:
            refuse_odd_values(one, deepest - 1)
        for one in value.values() if isinstance(value, dict) else ():
            refuse_odd_values(one, deepest - 1)
    elif isinstance(value, str):
        value.encode()  # a lone surrogate has no bytes
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("no number")  # NaN, and 1e999
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("no number of a message")

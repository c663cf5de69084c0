"""Requests and answers that wait on the server's disk: what a killed server still has.

``SITE/KEY/`` holds a request's head and a note, and once it was answered the answer's head and
another note. Payloads lie beside them, by their digest.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from roundelay.errors import RefusedError
from roundelay.files.writing import write_bytes, write_json
from roundelay.network.flare.calls import Answered, Payload, Put, Ticket
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.parsing import Digest, ManyCount, Name

NOTE, HEAD, ANSWER_NOTE, ANSWER = "request.json", "request.bin", "answer.json", "answer.bin"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request: for whom, what its payload is, how large its answer may be, who has that next."""

    site: Name
    key: Digest
    ticket: Ticket
    payload: Payload
    size: ManyCount
    most: ManyCount
    needs_torch: bool
    then: list[Name]


@dataclass(frozen=True, slots=True)
class Found:
    """An answer's payload."""

    payload: Payload
    size: ManyCount


WAITING, FOUND = TypeAdapter(Waiting), TypeAdapter(Found)


class Spool:
    """The folder of requests, read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.waiting: dict[str, Waiting] = {}
        self.found: dict[str, Found] = {}
        for own in sorted(folder.glob("*/*")):
            self._read(own)

    def put(self, asked: Put, ticket: str, head: bytes) -> Waiting:
        """Keep a request; its note comes last, and says that it is whole."""
        own = self._folder / asked.site / asked.key
        new = Waiting(
            asked.site, asked.key, ticket, asked.payload, asked.size, asked.most,
            asked.needs_torch, list(asked.then),
        )  # fmt: skip
        write_bytes(own / HEAD, head)
        write_json(own / NOTE, asdict(new))
        self.waiting[asked.key] = new
        return new

    def answered(self, said: Answered, head: bytes) -> None:
        own = self._own(said.key)
        new = Found(said.payload, said.size)
        write_bytes(own / ANSWER, head)
        write_json(own / ANSWER_NOTE, asdict(new))
        self.found[said.key] = new

    def head(self, key: str, *, answer: bool = False) -> bytes:
        return (self._own(key) / (ANSWER if answer else HEAD)).read_bytes()

    def remove(self, key: str) -> None:
        if key in self.waiting:
            shutil.rmtree(self._own(key), ignore_errors=True)
            del self.waiting[key]
            self.found.pop(key, None)

    def of(self, site: str) -> Iterator[Waiting]:
        """What a site has yet to answer."""
        return (
            one for one in self.waiting.values() if one.site == site and one.key not in self.found
        )

    def payloads(self) -> set[str]:
        """All that a request or an answer names."""
        asked = {one.payload for one in self.waiting.values()}
        return asked | {one.payload for one in self.found.values()}

    def _own(self, key: str) -> Path:
        return self._folder / self.waiting[key].site / key

    def _read(self, own: Path) -> None:
        """What was being written when the server was killed is no request, and no answer."""
        try:
            one = read_kept(own / NOTE, WAITING, RefusedError, "")
            self.waiting[one.key] = one
            self.found[one.key] = read_kept(own / ANSWER_NOTE, FOUND, RefusedError, "")
        except RefusedError:
            if own.name not in self.waiting:
                shutil.rmtree(own, ignore_errors=True)

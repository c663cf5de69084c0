"""The lines of a ledger as values: parsed once, each following from the one before it.

A ledger may have been written, or rewritten, by anybody: behind `read_chain` no value of a line is
of another type or out of its range, and no digest is anything but a digest, also as a file's name.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roundelay.errors import LedgerError
from roundelay.files.canonical import canonical_json
from roundelay.files.reading import parse_json
from roundelay.files.regular import plain_bytes

FIRST_PREVIOUS = "0" * 64

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Receipt(_Line):
    stop: Count
    site: Name
    round: Annotated[int, Field(ge=1)]
    task: Name
    received: Digest
    returned: Digest
    patients: Count
    slices: Count
    slice_visits: Count
    steps: Count
    loss: float | None
    seconds: Annotated[float, Field(ge=0)]
    sent_bytes: Count
    returned_bytes: Count
    machine: str


class _Statement(_Line):
    model_config = ConfigDict(extra="allow")
    leg: int
    returned: Digest
    sealed: Digest | Annotated[str, Field(max_length=0)]
    receipt: _Receipt | None


class _Proof(_Line):
    model_config = ConfigDict(extra="allow")
    statement: _Statement
    signer: str
    signature: str
    absent: "list[_Proof]" = []
    deferred: "list[_Proof]" = []


class _First(_Line):
    ledger: Annotated[int, Field(ge=1, le=1)]
    arm: Name
    study: Name
    itinerary: Digest
    cohort: Name
    start: Digest
    previous: Digest
    digest: Digest


class _Leg(_Line):
    leg: Count
    receipts: Annotated[list[_Receipt], Field(min_length=1)]
    baton: Digest
    proofs: list[_Proof | None] = []
    previous: Digest
    digest: Digest


class _Closing(_Line):
    closing: Annotated[dict[Name, Digest], Field(min_length=1)]
    previous: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class Chain:
    """A ledger whose chain holds: its first line and its legs, and what its last line closes.

    `closing` has the digests of the arm's files by name; None where the arm isn't finished, or was
    finished by an older version. `head` is the digest of the last line.
    """

    lines: list[dict[str, Any]]
    closing: Mapping[str, str] | None
    head: str

    @property
    def legs(self) -> Sequence[dict[str, Any]]:
        """The lines of the legs, in the order in which they were run."""
        return self.lines[1:]


def read_chain(path: Path) -> Chain:
    """A ledger whose chain holds. Raises LedgerError naming the first bad line."""
    try:
        data = plain_bytes(path)
    except OSError as error:
        raise LedgerError(f"{path} can't be read: {error.strerror}.") from error
    return parse_chain(data, str(path))


def parse_chain(data: bytes, where: str) -> Chain:
    """As `read_chain`, of the bytes of a ledger; `where` names it in errors."""
    if not data.endswith(b"\n"):
        raise LedgerError(f"{where} is cut: its last line has no end.")
    lines: list[dict[str, Any]] = []
    for number, raw in enumerate(data[:-1].split(b"\n"), start=1):
        if problem := _problem(raw, lines):
            raise LedgerError(
                f"{where}, line {number}: {problem}.\nThis ledger was changed after it was written."
                " Compare it with a copy held elsewhere; the run can't go on from it."
            )
        lines.append(parse_json(raw))
    head = str(lines[-1]["digest"])
    closing = lines.pop()["closing"] if "closing" in lines[-1] else None
    return Chain(lines, closing, head)


def chained(entry: Mapping[str, Any], previous: str) -> dict[str, Any]:
    """An entry as a line that follows from the line with the digest `previous`."""
    line = {**entry, "previous": previous}
    return {**line, "digest": hashlib.sha256(canonical_json(line)).hexdigest()}


def _problem(raw: bytes, before: Sequence[Mapping[str, Any]]) -> str | None:
    try:
        line = parse_json(raw)
        entry = {key: value for key, value in line.items() if key != "digest"}
        if canonical_json(line) != raw:
            return "it is not spelled as it was written"
        if line["digest"] != hashlib.sha256(canonical_json(entry)).hexdigest():
            return "its bytes do not give its digest"
        if line["previous"] != (before[-1]["digest"] if before else FIRST_PREVIOUS):
            return "it does not follow from the line before it"
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return "it is not a line of a ledger"
    return _shape_problem(line, before)


def _shape_problem(line: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> str | None:
    if before and "closing" in before[-1]:
        return "the ledger was closed before it"
    if before and "ledger" in line:
        return "it begins a ledger again"
    if not before and ("leg" in line or "closing" in line):
        return "a leg is missing before it"
    shape = _First if not before else _Closing if "closing" in line else _Leg
    try:
        shape.model_validate(line)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        return f"{where} is not what a ledger holds ({fault['msg']})"
    except RecursionError:
        return "it is not a line of a ledger"
    return None

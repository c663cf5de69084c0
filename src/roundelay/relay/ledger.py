"""The hash chain of all receipts of an arm, and the batons it vouches for.

``ledger.jsonl`` holds one canonical JSON object a line (sorted keys, no spaces). Every line carries
the digest of the line before it (``previous``) and of itself (``digest``, over the line without
that key). The first line names study, itinerary, cohort and the start baton; each further line is
a leg: its receipts and the digest of the baton that goes on.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roundelay.errors import LedgerError
from roundelay.files.canonical import canonical_json
from roundelay.files.writing import write_bytes
from roundelay.plan.itinerary import Leg
from roundelay.relay.baton import Baton
from roundelay.relay.receipt import Receipt, proof_of

FIRST_PREVIOUS = "0" * 64


@dataclass(frozen=True, slots=True)
class Header:
    """What a ledger vouches for from its first line on."""

    arm: str
    study: str
    itinerary: str
    cohort: str
    start: str


class Ledger:
    """An arm's ledger and its folder of batons; it grows by `append` alone."""

    def __init__(self, folder: Path, header: Header, *, keep: frozenset[int] | None) -> None:
        """Open or begin a ledger. `keep` numbers the hand-overs whose batons stay (None: all stay).

        Raises LedgerError where what is there does not verify or begins otherwise.
        """
        self.path = folder / "ledger.jsonl"
        self.batons = folder / "batons"
        self._keep = keep
        if self.path.exists():
            self.lines = read_ledger(self.path)
            if (found := _header(self.lines)) != header:
                raise LedgerError(_other_header(self.path, found, header))
        else:
            self.lines = [_sealed(asdict(header) | {"ledger": 1}, FIRST_PREVIOUS)]
            self._write()

    @property
    def legs_done(self) -> int:
        return len(self.lines) - 1

    @property
    def legs_run(self) -> list[int]:
        """The indices of the legs that were run, in the order in which they were."""
        return [line["leg"] for line in self.lines[1:]]

    @property
    def head(self) -> str:
        """The digest to compare with one held elsewhere."""
        return str(self.lines[-1]["digest"])

    @property
    def receipts(self) -> list[Receipt]:
        return [Receipt(**receipt) for line in self.lines[1:] for receipt in line["receipts"]]

    def last_baton(self) -> Baton | None:
        """The baton of the last finished leg, or None where there is none."""
        return self.baton_of(self.legs_done - 1) if self.legs_done else None

    def baton_of(self, number: int) -> Baton:
        """The kept baton of a hand-over, counted from 0 in the order in which legs were run.

        Raises LedgerError where it is missing or altered.
        """
        return read_baton(self.batons, self.lines[number + 1])

    def append(
        self, leg: Leg, receipts: Sequence[Receipt], baton: Baton, proofs: Sequence[Any] = ()
    ) -> None:
        """Write the baton, then the line that vouches for it, then drop batons no longer needed.

        `proofs` are the sites' signed statements, where they sign.
        """
        write_bytes(self.batons / file_name(baton.digest, sealed=baton.sealed), baton.data)
        entry = {
            "leg": leg.index,
            "receipts": [asdict(receipt) for receipt in receipts],
            "baton": baton.digest,
        }
        if any(proofs):
            entry["proofs"] = list(proofs)
        self.lines.append(_sealed(entry, self.head))
        self._write()
        self._prune()

    def _write(self) -> None:
        write_bytes(self.path, b"".join(canonical_json(line) + b"\n" for line in self.lines))

    def _prune(self) -> None:
        if self._keep is None:
            return
        kept = {*self._keep, self.legs_done - 1, self.legs_done - 2}
        needed = {line["baton"] for number, line in enumerate(self.lines[1:]) if number in kept}
        for path in self.batons.iterdir():
            if path.stem not in needed:
                path.unlink()


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """All lines of a ledger whose chain holds. Raises LedgerError naming the first bad line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LedgerError(f"{path} can't be read: {error.strerror}.") from error
    if not data.endswith(b"\n"):
        raise LedgerError(f"{path} is cut: its last line has no end.")
    lines: list[dict[str, Any]] = []
    for number, raw in enumerate(data[:-1].split(b"\n"), start=1):
        previous = lines[-1]["digest"] if lines else FIRST_PREVIOUS
        if problem := _problem(raw, previous, first=not lines):
            raise LedgerError(
                f"{path}, line {number}: {problem}.\nThis ledger was changed after it was written."
                " Compare it with a copy held elsewhere; the run can't go on from it."
            )
        lines.append(json.loads(raw))
    return lines


def _sealed(entry: dict[str, Any], previous: str) -> dict[str, Any]:
    entry = entry | {"previous": previous}
    return entry | {"digest": hashlib.sha256(canonical_json(entry)).hexdigest()}


def _problem(raw: bytes, previous: str, *, first: bool) -> str | None:
    try:
        line = json.loads(raw)
        entry = {key: value for key, value in line.items() if key != "digest"}
        if canonical_json(line) != raw:
            return "it is not spelled as it was written"
        if line["digest"] != hashlib.sha256(canonical_json(entry)).hexdigest():
            return "its bytes do not give its digest"
        if line["previous"] != previous:
            return "it does not follow from the line before it"
        if ("leg" in line) == first:
            return "a leg is missing before it"
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return "it is not a line of a ledger"
    return None


def _header(lines: Sequence[dict[str, Any]]) -> Header:
    return Header(**{key: lines[0][key] for key in Header.__slots__})


def _other_header(path: Path, found: Header, wanted: Header) -> str:
    differ = [key for key in Header.__slots__ if getattr(found, key) != getattr(wanted, key)]
    return (
        f"{path} began with another {' and '.join(differ)}.\n"
        "Go on with the study and the data that it began with, or choose another --out."
    )


def file_name(digest: str, *, sealed: bool) -> str:
    """Under which name a baton is kept."""
    return f"{digest}.sealed" if sealed else f"{digest}.safetensors"


def sealed_as(line: dict[str, Any]) -> str:
    """The digest of the envelope that a line's baton is kept in; empty where it lies open."""
    proof = proof_of(line)
    return str(proof["statement"]["sealed"]) if proof else ""


def read_baton(folder: Path, line: dict[str, Any]) -> Baton:
    """The kept baton of a line. Raises LedgerError where it is missing or altered."""
    sealed = sealed_as(line)
    path = folder / file_name(line["baton"], sealed=sealed != "")
    try:
        baton = Baton(path.read_bytes(), proof_of(line))
    except OSError as error:
        raise LedgerError(f"The baton {path} is missing: the run can't go on from it.") from error
    found = hashlib.sha256(baton.data).hexdigest()
    if found != (sealed or line["baton"]):
        raise LedgerError(f"{path} was altered: its digest is {found[:12]} now.")
    return baton

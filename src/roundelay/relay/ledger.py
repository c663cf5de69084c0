"""The hash chain of all receipts of an arm, and the batons it vouches for.

``ledger.jsonl`` holds one canonical JSON object a line (sorted keys, no spaces). Every line carries
the digest of the line before it (``previous``) and of itself (``digest``, over the line without
that key). The first line names study, itinerary, cohort and the start baton; each further line is
a leg: its receipts and the digest of the baton that goes on. The last line of a finished arm closes
the ledger: the digests of the files that people quote.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roundelay.errors import LedgerError
from roundelay.files.canonical import canonical_json
from roundelay.files.mishap import why
from roundelay.files.regular import plain_bytes
from roundelay.files.writing import write_bytes
from roundelay.plan.itinerary import Leg
from roundelay.plan.keeping import kept
from roundelay.relay.baton import Baton
from roundelay.relay.chain import FIRST_PREVIOUS, chained, read_chain
from roundelay.relay.receipt import Receipt, proof_of


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
        self.closing: Mapping[str, str] | None = None
        if self.path.exists():
            chain = read_chain(self.path)
            self.lines, self.closing, self._head = chain.lines, chain.closing, chain.head
            if (found := _header(self.lines)) != header:
                raise LedgerError(_other_header(self.path, found, header))
            self._written = b"".join(map(_as_written, self.lines))
        else:
            self.lines, self._head, self._written = [], FIRST_PREVIOUS, b""
            self._add(asdict(header) | {"ledger": 1})

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
        return self._head

    @property
    def receipts(self) -> list[Receipt]:
        return [Receipt(**receipt) for line in self.lines[1:] for receipt in line["receipts"]]

    @property
    def last_receipts(self) -> list[Receipt]:
        """Those of the last leg that was run."""
        return [Receipt(**receipt) for receipt in self.lines[-1].get("receipts", ())]

    def last_baton(self) -> Baton | None:
        """The baton of the last finished leg, or None where there is none."""
        return self.baton_of(self.legs_done - 1) if self.legs_done else None

    def baton_of(self, number: int) -> Baton:
        """The kept baton of a hand-over, counted from 0 in the order in which legs were run.

        Raises LedgerError where it is missing or altered.
        """
        return read_baton(self.batons, self.lines[number + 1])

    def append(
        self, leg: Leg, receipts: Sequence[Receipt], baton: Baton, proofs: Sequence[Any] = (),
        merged: Sequence[Baton] = (),
    ) -> None:  # fmt: skip
        """Write the baton, then the line that vouches for it, then drop batons no longer needed.

        `proofs` are the sites' signed statements, where they sign; `merged` the batons that this
        one was made of: they stay where all do, so that it can be computed again.
        """
        if self.closing is not None:
            raise LedgerError(f"{self.path} is closed: its arm is finished.")
        for one in (baton, *(merged if self._keep is None else ())):
            write_bytes(self.batons / baton_file(one.digest, sealed=one.sealed), one.data)
        entry = {
            "leg": leg.index,
            "receipts": [asdict(receipt) for receipt in receipts],
            "baton": baton.digest,
        }
        if any(proofs):
            entry["proofs"] = list(proofs)
        self._add(entry)
        self._prune()

    def close(self, files: Mapping[str, str]) -> None:
        """Write the last line: the digests of the arm's files, by name."""
        self._add({"closing": dict(files)})

    def _add(self, entry: Mapping[str, Any]) -> None:
        line = chained(entry, self._head)
        written = self._written + _as_written(line)  # spelled once: a thousand legs stay cheap
        write_bytes(self.path, written)
        self._head, self._written = str(line["digest"]), written
        if "closing" in line:
            self.closing = line["closing"]
        else:
            self.lines.append(line)

    def _prune(self) -> None:
        needed = vouched_for(self.lines[1:], kept(self._keep, self.legs_done))
        for path in self.batons.iterdir():
            if path.stem not in needed:
                path.unlink()


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """The first line and the legs of a ledger whose chain holds. Raises LedgerError."""
    return read_chain(path).lines


def _as_written(line: Mapping[str, Any]) -> bytes:
    return canonical_json(line) + b"\n"


def _header(lines: Sequence[dict[str, Any]]) -> Header:
    return Header(**{key: lines[0][key] for key in Header.__slots__})


def _other_header(path: Path, found: Header, wanted: Header) -> str:
    differ = [key for key in Header.__slots__ if getattr(found, key) != getattr(wanted, key)]
    if differ == ["start"]:
        return (
            f"{path} began with other first weights than are drawn here now: another PyTorch, or"
            " another file of weights.\nGo on with the one that it began with (run.json names the"
            " version), or choose another --out."
        )
    return (
        f"{path} began with another {' and '.join(differ)}.\n"
        "Go on with the study and the data that it began with, or choose another --out."
    )


def vouched_for(legs: Sequence[Mapping[str, Any]], numbers: frozenset[int] | None) -> set[str]:
    """The digests of the batons of these hand-overs; of all that any line names where None."""
    if numbers is not None:
        return {line["baton"] for number, line in enumerate(legs) if number in numbers}
    merged = {receipt["returned"] for line in legs for receipt in line["receipts"]}
    return merged | {line["baton"] for line in legs}


def baton_file(digest: str, *, sealed: bool) -> str:
    """Under which name a baton is kept."""
    return f"{digest}.sealed" if sealed else f"{digest}.safetensors"


def sealed_as(line: dict[str, Any]) -> str:
    """The digest of the envelope that a line's baton is kept in; empty where it lies open."""
    proof = proof_of(line)
    return str(proof["statement"]["sealed"]) if proof else ""


def read_baton(folder: Path, line: dict[str, Any]) -> Baton:
    """The kept baton of a line. Raises LedgerError where it is missing or altered."""
    sealed = sealed_as(line)
    path = folder / baton_file(line["baton"], sealed=sealed != "")
    try:
        baton = Baton(plain_bytes(path), proof_of(line))
    except FileNotFoundError as error:
        raise LedgerError(f"The baton {path} is missing: the run can't go on from it.") from error
    except OSError as error:
        raise LedgerError(
            f"The baton {path} can't be read: {why(error)}. The run can't go on from it."
        ) from error
    found = hashlib.sha256(baton.data).hexdigest()
    if found != (sealed or line["baton"]):
        raise LedgerError(f"{path} was altered: its digest is {found[:12]} now.")
    return baton

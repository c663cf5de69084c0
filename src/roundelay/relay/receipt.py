"""What a site states about a visit, and what was signed beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a site states about a visit: the digest it began with, the one it returned, its work."""

    stop: int
    site: str
    round: int
    task: str
    received: str
    returned: str
    patients: int
    slices: int
    slice_visits: int
    steps: int
    loss: float | None
    seconds: float
    sent_bytes: int
    returned_bytes: int
    machine: str


def proof_of(line: dict[str, Any]) -> dict[str, Any] | None:
    """What the last holder of a leg's baton states of it; none where several were merged."""
    proofs = line.get("proofs", [])
    if len(proofs) != 1 or proofs[0]["statement"]["returned"] != line["baton"]:
        return None
    return dict(proofs[0])


def absence_statements(line: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """What the coordinator signed of sites that were away before a line's visit.

    `kind` is ``absent`` for stops that were skipped, ``deferred`` for stops put off to later.
    """
    return [
        dict(statement)
        for proof in line.get("proofs", [])
        for statement in (proof or {}).get(kind, [])
    ]

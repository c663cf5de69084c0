"""The consent of a hospital: studies that wait, studies that its operator approved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roundelay.atomic import write_json
from roundelay.errors import NetworkError, RefusedError
from roundelay.network.keys import Keys
from roundelay.network.policy import Policy, accepts_unasked
from roundelay.network.proposal import Proposal, proposal_from_json

PENDING, APPROVED = "pending", "approved"


class AwaitingError(RefusedError):
    """The site's operator hasn't approved the study yet."""


def check_consent(home: Path, policy: Policy, proposal: Proposal, site: str, keys: Keys) -> None:
    """Raise RefusedError where the site is wrongly named in the roster, AwaitingError where its
    operator has not approved the study with just this seal and these keys; it is then put down as
    waiting."""
    if dict(proposal.roster.get(site, {})) != keys.public():
        raise RefusedError("The study's roster names other keys for this hospital than its own.")
    if (home / APPROVED / f"{proposal.digest}.json").exists() or accepts_unasked(policy, proposal):
        return
    waiting = home / PENDING / f"{proposal.digest}.json"
    if not waiting.exists():
        write_json(waiting, proposal.as_json())
    raise AwaitingError(
        "The study waits for this hospital's approval. Its operator types: "
        f" roundelay site approve {proposal.study.digest[:12]} --kit KIT"
    )


def waiting_study(home: Path, digest: str) -> Proposal:
    """The study that waits under this digest, or its beginning. Raises NetworkError for none."""
    waiting = [proposal_from_json(value) for value in _all(home / PENDING)]
    found = [p for p in waiting if p.study.digest.startswith(digest.lower())]
    if len(found) == 1 and digest:
        return found[0]
    names = ", ".join(f"{p.study.name} ({p.study.digest[:12]})" for p in waiting)
    several = "More than one study waits" if found else "No study waits"
    raise NetworkError(f"{several} under {digest!r}. Waiting: {names or 'none'}.")


def approve(home: Path, proposal: Proposal) -> None:
    """From now on visits of this study are answered."""
    write_json(home / APPROVED / f"{proposal.digest}.json", proposal.as_json())
    (home / PENDING / f"{proposal.digest}.json").unlink(missing_ok=True)


def _all(folder: Path) -> list[Mapping[str, Any]]:
    paths = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

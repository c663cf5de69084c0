"""The consent of a hospital: studies that wait, runs of them that its operator approved."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.errors import NetworkError, RefusedError
from roundelay.files.locks import take_lock
from roundelay.files.regular import plain_bytes
from roundelay.files.writing import write_json
from roundelay.network.hospital.policy import Policy
from roundelay.network.hospital.policy_checks import accepts_unasked
from roundelay.network.wire.keys import Keys, fingerprint
from roundelay.network.wire.proposal import Proposal, proposal_from_json
from roundelay.records.signatures import COORDINATOR

PENDING, APPROVED, LOCK = "pending", "approved", ".consent.lock"

MOST_WAITING = 50
"""Studies that may wait at once: nobody fills a hospital's disk with what it never approves."""


MOST_UNASKED = 1000
"""Approved runs after which a policy approves no more of them unasked."""


class AwaitingError(RefusedError):
    """The site's operator hasn't approved the study yet."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run of a study that waits for approval."""

    proposal: Proposal
    run: str

    @property
    def file(self) -> str:
        """The name of its file, waiting or approved."""
        return f"{self.proposal.digest}-{self.run}.json"

    def as_json(self) -> dict[str, Any]:
        return {"run": self.run, **self.proposal.as_json()}


def check_consent(
    home: Path, policy: Policy, proposal: Proposal, run: str, site: str, keys: Keys
) -> None:
    """Raise RefusedError where the site is wrongly named in the roster, AwaitingError where its
    operator has not approved this run of the study with just this seal and these keys; it is then
    put down as waiting."""
    if dict(proposal.roster.get(site, {})) != keys.public():
        raise RefusedError("The study's roster names other keys for this hospital than its own.")
    with take_lock(home / LOCK, wait=True):
        waiting = Waiting(proposal, run)
        if (home / APPROVED / waiting.file).exists():
            return
        runs, alike = _approved_runs(home, proposal)
        if (alike or accepts_unasked(policy, proposal)) and runs < policy.accept.runs:
            _refuse_too_many(home)
            write_json(home / APPROVED / waiting.file, {**waiting.as_json(), "by": "policy"})
            return
        _put_down(home, waiting)
    again = "This is another run of a study that was approved before; it" if alike else "The study"
    raise AwaitingError(
        f"{again} waits for this hospital's approval. Its operator types: "
        f" roundelay site approve {proposal.study.digest[:12]} --kit KIT"
    )


def _approved_runs(home: Path, proposal: Proposal) -> tuple[int, int]:
    """Approved runs of this study, whatever seal, keys and rule for absent sites they have; and
    those that have the same. A file that can't be read counts as one of them."""
    found, unreadable = _all(home / APPROVED)
    of_study = [w for w in found if w.proposal.study.digest == proposal.study.digest]
    alike = sum(w.proposal.digest == proposal.digest for w in of_study)
    return len(of_study) + len(unreadable), alike


def _refuse_too_many(home: Path) -> None:
    if len(list((home / APPROVED).glob("*.json"))) >= MOST_UNASKED:
        raise RefusedError(
            f"{MOST_UNASKED} runs were approved by this hospital already: its operator must look at"
            " them first (roundelay/approved in its kit)."
        )


def _put_down(home: Path, waiting: Waiting) -> None:
    path = home / PENDING / waiting.file
    if path.exists():
        return
    if len(list((home / PENDING).glob("*.json"))) >= MOST_WAITING:
        raise RefusedError(
            f"{MOST_WAITING} studies wait for approval at this hospital already: its operator must"
            " look at them first (roundelay/pending in its kit)."
        )
    write_json(path, waiting.as_json())


def waiting_study(home: Path, digest: str) -> Waiting:
    """The run of a study that waits under this digest, or its beginning; the newest where several
    runs of one study do. Where one study waits under several rosters or seals, it is named by the
    digest of all of that together. Raises NetworkError for none."""
    waiting, unreadable = _all(home / PENDING)
    begin = digest.lower()
    found = [
        w
        for w in waiting
        if begin and any(d.startswith(begin) for d in (w.proposal.study.digest, w.proposal.digest))
    ]
    if len({w.proposal.digest for w in found}) == 1:
        return found[-1]
    named = [_named(w, by_proposal=bool(found)) for w in found or waiting]
    named += [f"{path} (of another version: remove it)" for path in unreadable]
    names = ", ".join(dict.fromkeys(named))
    several = "More than one study waits" if found else "No study waits"
    raise NetworkError(f"{several} under {digest!r}. Waiting: {names or 'none'}.")


def _named(waiting: Waiting, *, by_proposal: bool) -> str:
    """A study, as it may be named to approve it."""
    proposal = waiting.proposal
    if not by_proposal:
        return f"{proposal.study.name} ({proposal.study.digest[:12]})"
    owner = fingerprint(proposal.roster[COORDINATOR])
    return f"{proposal.study.name} of {owner} ({proposal.digest[:12]})"


def approve(home: Path, waiting: Waiting) -> None:
    """From now on requests of this run are answered; older runs of the same study that still wait
    are forgotten."""
    with take_lock(home / LOCK, wait=True):
        write_json(home / APPROVED / waiting.file, {**waiting.as_json(), "by": "operator"})
        for old in (home / PENDING).glob(f"{waiting.proposal.digest}-*.json"):
            old.unlink(missing_ok=True)


def _all(folder: Path) -> tuple[list[Waiting], list[Path]]:
    """The studies that wait, the oldest first, and the files that hold none for this version."""
    found, unreadable = list[Waiting](), list[Path]()
    for path in sorted(folder.glob("*.json"), key=_since):
        try:
            value = json.loads(plain_bytes(path))
            run = str(value.pop("run"))
            value.pop("by", None)
            found.append(Waiting(proposal_from_json(value), run))
        except FileNotFoundError:  # approved or refused in the meantime
            continue
        except (
            RefusedError,
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ):
            unreadable.append(path)
    return found, unreadable


def _since(path: Path) -> float:
    """When a file was written; one that has just gone comes first."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0

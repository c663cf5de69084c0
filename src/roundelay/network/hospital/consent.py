"""The consent of a hospital: studies that wait, studies that its operator approved."""

import json
from pathlib import Path

from roundelay.errors import NetworkError, RefusedError
from roundelay.files.writing import write_json
from roundelay.network.hospital.policy import Policy, accepts_unasked
from roundelay.network.wire.keys import Keys, fingerprint
from roundelay.network.wire.proposal import Proposal, proposal_from_json
from roundelay.records.signatures import COORDINATOR

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
    waiting, unreadable = _all(home / PENDING)
    found = [p for p in waiting if p.study.digest.startswith(digest.lower())]
    if len(found) == 1 and digest:
        return found[0]
    named = [f"{p.study.name} ({p.study.digest[:12]})" for p in waiting]
    named += [f"{path} (of another version: remove it)" for path in unreadable]
    names = ", ".join(named)
    several = "More than one study waits" if found else "No study waits"
    raise NetworkError(f"{several} under {digest!r}. Waiting: {names or 'none'}.")


def approve(home: Path, proposal: Proposal) -> None:
    """From now on visits of this study are answered."""
    write_json(home / APPROVED / f"{proposal.digest}.json", proposal.as_json())
    (home / PENDING / f"{proposal.digest}.json").unlink(missing_ok=True)


def _all(folder: Path) -> tuple[list[Proposal], list[Path]]:
    """The proposals that wait, the oldest first, and the files that hold none for this version."""
    found, unreadable = list[Proposal](), list[Path]()
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
        try:
            found.append(proposal_from_json(json.loads(path.read_text(encoding="utf-8"))))
        except (RefusedError, ValueError):
            unreadable.append(path)
    return found, unreadable


READERS = {
    "sites": "Only the hospitals that the model visits can read it; the server and the owner of the"
    " study can't.",
    "owner": "The hospitals that the model visits can read it, and so can the owner of the study;"
    " the server can't.",
    "none": "The model is NOT sealed: server and owner can read it after every visit, and could"
    " compute what this hospital changed in it.",
}

TURNS = {
    "wait": "A hospital that is away is waited for.",
    "defer": "A hospital that is away may be put off to later in its round.",
    "skip": "The turn of a hospital that is away may be skipped.",
}


def in_sentences(proposal: Proposal, site: str) -> list[str]:
    """What will run, how often, and what leaves, for the operator of `site`."""
    study, recipe = proposal.study, proposal.study.recipe
    visits = [
        f"{1 if arm == 'swt' else recipe.rounds} visit{'s' * (arm != 'swt' and recipe.rounds > 1)}"
        f" by {arm}"
        for arm in study.arms
    ]
    work = f"{recipe.steps} steps" if recipe.steps else f"{recipe.epochs or 1} epochs"
    seeds = f", for each of {len(study.seeds)} seeds" if len(study.seeds) > 1 else ""
    others = [name for name in proposal.sites if name != site]
    return [
        f"Study {study.name}, digest {study.digest}.",
        f"Proposed by the owner of the keys {fingerprint(proposal.roster[COORDINATOR])}.",
        f"With: {', '.join(others) or 'no other hospital'}."
        f" All their keys together: {fingerprint(dict(proposal.roster))}.",
        f"What runs here: a U-Net ({study.model.encoder}) trains on this hospital's patients,"
        f" {', '.join(visits)}{seeds}; {work} of {recipe.batch} slices a visit.",
        "What leaves: the weights of the network after each visit, counts of patients and slices,"
        " one digest over the images, loss and time of each visit, and scores.",
        READERS[proposal.seal],
        TURNS[proposal.absent],
        "The hospital that comes next can compute what this hospital's visit changed.",
    ]

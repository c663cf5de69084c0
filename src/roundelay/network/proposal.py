"""What a site is asked to take part in: the study, who takes part, who may read the model, and what
becomes of the turn of a site that is away."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from roundelay.atomic import digest_of
from roundelay.errors import NetworkError, RefusedError
from roundelay.network.keys import Public, fingerprint
from roundelay.network.kits import COORDINATOR
from roundelay.study import Absent, Seal, Study

Roster = Mapping[str, Public]
"""The public keys of everyone in a study: the sites, and ``coordinator`` for the study's owner."""

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


@dataclass(frozen=True)
class Proposal:
    """`digest` is what an operator accepts: another study, seal, key or way of dealing with absence
    has another one."""

    study: Study
    seal: Seal
    absent: Absent
    roster: Roster

    @cached_property
    def digest(self) -> str:
        return proposal_digest(self.study.digest, self.terms())

    def terms(self) -> dict[str, Any]:
        """What is agreed on beside the study itself."""
        return {"seal": self.seal, "absent": self.absent, "roster": dict(self.roster)}

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.roster if name != COORDINATOR))

    def as_json(self) -> dict[str, Any]:
        """All of it, less what only the owner's computer needs (folders and processes)."""
        plan = self.study.model_dump(mode="json", exclude={"courier": True, "data": {"root"}})
        return {"study": plan, **self.terms()}


def proposal_digest(study: str, terms: Mapping[str, Any]) -> str:
    """The digest of a proposal from that of its study, and its terms."""
    return digest_of({"study": study, **{key: terms[key] for key in ("seal", "absent", "roster")}})


def propose(study: Study, roster: Roster) -> Proposal:
    """A study with what its ``[courier]`` says of sealing and absence."""
    return Proposal(study, study.courier.seal, study.courier.absent, roster)


def check_study(study: Study) -> None:
    """Raise NetworkError where the study can't be run between hospitals as it stands."""
    apart = {"fedavg": "averages models", "fedprox": "averages models"}
    if study.data.sites.startswith(("chunks", "table")):
        raise NetworkError(
            f"sites = {study.data.sites!r} deals out the patients of one folder. Between hospitals"
            ' each has its own: write sites = "institution".'
        )
    if "pooled" in study.arms:
        raise NetworkError(
            "The arm pooled puts all images in one place, which hospitals may not do. Leave it out"
            " of arms."
        )
    if study.courier.absent == "skip" and set(apart) & set(study.arms):
        raise NetworkError(
            'absent = "skip" passes over one hospital\'s turn, but in fedavg and fedprox all of a'
            ' round train side by side. Write absent = "wait", or leave those arms out.'
        )
    if study.courier.seal == "none":
        return
    for arm in study.arms:
        if arm in apart:
            raise NetworkError(
                f"The arm {arm} {apart[arm]}, so whoever averages must read them. Write"
                ' seal = "none" into [courier], or leave the arm out.'
            )
    if study.recipe.calibrate:
        raise NetworkError(
            "calibrate = true puts sums of all hospitals into the model, so whoever adds them must"
            ' read it. Write seal = "none" into [courier], or calibrate = false.'
        )


def proposal_from_json(value: Mapping[str, Any]) -> Proposal:
    """What `as_json` made, read back. Raises RefusedError for anything else."""
    try:
        plan = json.loads(json.dumps(value["study"]))
        plan["data"]["root"] = "this hospital's"
        plan["courier"] = {"seal": value["seal"], "absent": value["absent"]}
        return propose(Study.model_validate_json(json.dumps(plan)), dict(value["roster"]))
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError("The study that came can't be read by this version.") from error


def in_words(proposal: Proposal, site: str) -> list[str]:
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

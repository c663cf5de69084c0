"""What a site is asked to take part in: the study, who takes part, who may read the model, and what
becomes of the turn of a site that is away."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationError

from roundelay.errors import NetworkError, RefusedError
from roundelay.network.wire.parsing import Name, Part, PublicKeys, parsed
from roundelay.plan.arms import most_visits
from roundelay.records.signatures import COORDINATOR, Public, proposal_digest
from roundelay.study.sections import PARALLEL, Absent, Seal
from roundelay.study.study import Study

Roster = Mapping[str, Public]
"""The public keys of everyone in a study: the sites, and ``coordinator`` for the study's owner."""


@dataclass(frozen=True)
class Proposal:
    """`digest` is what an operator approves: another study, seal, key or rule for absent sites has
    another one."""

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
    def sealed(self) -> bool:
        """Whether batons go in envelopes; else the coordinator reads them."""
        return self.seal != "none"

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.roster if name != COORDINATOR))

    def as_json(self) -> dict[str, Any]:
        """All of it, less what only the owner's computer needs (folders and processes)."""
        return {"study": self.study.without_places(), **self.terms()}


def propose(study: Study, roster: Roster) -> Proposal:
    """A study with what its ``[courier]`` says of sealing and absence."""
    return Proposal(study, study.courier.seal, study.courier.absent, roster)


def refuse_unfit_study(study: Study) -> None:
    """Raise NetworkError where the study can't be run between hospitals as it stands."""
    _refuse_one_folder(study)
    if study.model.goes_on_from:
        raise NetworkError(
            "The study goes on from the models of a finished run (goes_on_from in [model]), which"
            " hospitals don't have. Take it out."
        )
    if study.evaluation.chooses_threshold:
        raise NetworkError(NO_THRESHOLD)
    _refuse_unfit_arms(study)


def _refuse_one_folder(study: Study) -> None:
    if study.data.folds:
        raise NetworkError(
            f"data.folds = {study.data.folds} is a run for each fold, which every hospital would"
            " have to approve, and each with fewer test patients than most policies give scores"
            " of. Between hospitals take one split: take folds out of [data]."
        )
    if study.data.sites.startswith(("chunks", "table")):
        raise NetworkError(
            f"sites = {study.data.sites!r} deals out the patients of one folder. Between hospitals"
            ' each has its own: write sites = "institution".'
        )
    if study.sites:
        raise NetworkError(
            "The study says what the images of single sites have otherwise ([sites.NAME]). Between"
            " hospitals each says it itself:  roundelay site start --site site.toml."
        )


NO_THRESHOLD = (
    'threshold = "validation" needs validation patients\' Dice at several thresholds, numbers that'
    " hospitals do not give. Between hospitals write a number, as in threshold = 0.5."
)


def _refuse_unfit_arms(study: Study) -> None:
    if "pooled" in study.arms:
        raise NetworkError(
            "The arm pooled puts all images in one place, which hospitals may not do. Leave it out"
            " of arms."
        )
    if study.courier.absent == "skip" and set(PARALLEL) & set(study.arms):
        raise NetworkError(
            'absent = "skip" passes over one hospital\'s turn, but in fedavg and fedprox all of a'
            ' round train side by side. Write absent = "wait", or leave those arms out.'
        )
    if study.courier.seal == "none":
        return
    for arm in study.arms:
        if arm in PARALLEL:
            raise NetworkError(
                f"The arm {arm} averages models, so whoever averages must read them. Write"
                ' seal = "none" into [courier], or leave the arm out.'
            )


def refuse_too_long(study: Study, sites: int) -> None:
    """Raise NetworkError where a study has more visits than each hospital can lay at once."""
    if (visits := most_visits(study, sites)) > MOST_VISITS:
        raise NetworkError(
            f"{len(study.seeds)} seeds, {len(study.arms)} arms, {study.recipe.rounds:,} rounds and"
            f" {sites} sites make {visits:,} visits; between hospitals {MOST_VISITS:,} at most."
            " Take fewer of them (recipe.steps and recipe.epochs make a visit longer)."
        )


MOST_PARTIES = 1000

MOST_VISITS = 10_000
"""Of all arms together. A hospital lays them all for each request, twice, before and when its turn
comes: within a second."""


class ProposalPart(Part):
    """A proposal as it travels."""

    study: dict[str, Any]
    seal: Seal
    absent: Absent
    roster: Annotated[dict[Name, PublicKeys], Field(min_length=2, max_length=MOST_PARTIES)]


def proposal_from_json(value: Any) -> Proposal:
    """What `as_json` made, read back. Raises RefusedError for anything else, and for a study that
    can't be run between hospitals."""
    part = parsed(ProposalPart, value, "The study that came")
    if COORDINATOR not in part.roster:
        raise RefusedError("The study's roster names no coordinator.")
    roster = {name: keys.model_dump() for name, keys in part.roster.items()}
    refuse_shared_keys(roster)
    plan = {**part.study, "courier": {"seal": part.seal, "absent": part.absent}}
    plan["data"] = {**_table(plan.get("data")), "root": "this hospital's"}
    try:
        study = Study.model_validate_json(json.dumps(plan))
    except (ValidationError, ValueError, RecursionError) as error:
        raise RefusedError("The study that came can't be read by this version.") from error
    try:
        refuse_unfit_study(study)
        refuse_too_long(study, len(roster) - 1)
    except NetworkError as error:
        raise RefusedError(str(error)) from error
    return propose(study, roster)


def refuse_shared_keys(roster: Roster) -> None:
    """Raise RefusedError where two parties have a key in common: one could sign and open for the
    other."""
    found: dict[str, str] = {}
    for name, keys in roster.items():
        for key in keys.values():
            other = found.setdefault(key, name)
            if other != name:
                raise RefusedError(
                    f"{other} and {name} have the same keys. Was a kit copied with its folder"
                    " roundelay/keys? Remove that folder in one of them and start it again."
                )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"": value}

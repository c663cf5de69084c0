"""policy.toml: what a hospital takes part in, and what it lets go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from roundelay.errors import NetworkError, RefusedError
from roundelay.files.toml_file import Section, read_toml_file
from roundelay.network.wire.keys import fingerprint
from roundelay.network.wire.proposal import Proposal
from roundelay.plan.itinerary import Leg
from roundelay.records.signatures import COORDINATOR
from roundelay.study.sections import Positive, Seal

Share = Annotated[float, Field(gt=0, le=1)]


class Accept(Section):
    """Studies (by digest) and owners (by fingerprint) that need no approval of their own, and
    limits for all. What is left out isn't limited."""

    studies: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tasks: tuple[Literal["train", "evaluate", "recalibrate"], ...] = (
        "train",
        "evaluate",
        "recalibrate",
    )
    seals: tuple[Seal, ...] = ("sites", "owner", "none")
    encoders: tuple[str, ...] = ()
    rounds: Positive | None = None
    visits: Positive | None = None
    steps: Positive | None = None


class Release(Section):
    """`scores` by ``site``: one row for all patients; by ``patient``: one each, under a number.
    Of fewer than `least_scored` patients none leave: the row of a single one is that patient's.
    A site with fewer than `least_patients` training patients takes no part."""

    scores: Literal["none", "site", "patient"] = "site"
    least_scored: Positive = 1
    least_patients: Positive = 1


class Acceptance(Section):
    """`change`: the most that the weights may differ from those that this site handed over last,
    as a share of their norm. `drop`: the most that Dice may have fallen since then on the site's
    own validation patients."""

    change: Annotated[float, Field(gt=0)] | None = 5.0
    drop: Share | None = None


class Policy(Section):
    """The whole file."""

    accept: Accept = Accept()
    release: Release = Release()
    acceptance: Acceptance = Acceptance()


RENAMED = {"gate": "acceptance", "accept.tasks = calibrate": "recalibrate"}
"""What keys and values were called in earlier versions."""


def read_policy(path: Path) -> Policy:
    """A hospital's policy. Raises NetworkError with every fault of the file at once."""
    return read_toml_file(Policy, path, NetworkError, RENAMED)


def accepts_unasked(policy: Policy, proposal: Proposal) -> bool:
    """Whether the policy names this study, or its owner."""
    owner = fingerprint(proposal.roster[COORDINATOR])
    return proposal.study.digest in policy.accept.studies or owner in policy.accept.owners


def check_task(policy: Policy, proposal: Proposal, task: str) -> None:
    """Raise RefusedError where the policy does not allow the task or the study at all."""
    accept = policy.accept
    encoder = proposal.study.model.encoder
    if task not in accept.tasks:
        raise _refused(f"the task {task!r}", "accept.tasks")
    if proposal.seal not in accept.seals:
        raise _refused(f'seal = "{proposal.seal}"', "accept.seals")
    if accept.encoders and encoder not in accept.encoders:
        raise _refused(f"the encoder {encoder}", "accept.encoders")
    if accept.rounds is not None and proposal.study.recipe.rounds > accept.rounds:
        raise _refused(f"{proposal.study.recipe.rounds} rounds", "accept.rounds")


def check_visits(policy: Policy, site: str, legs: Sequence[Leg]) -> None:
    """Raise RefusedError where an arm visits the site more often, or longer, than it accepts."""
    own = [stop for leg in legs for stop in leg.stops if stop.site == site]
    accept = policy.accept
    if accept.visits is not None and len(own) > accept.visits:
        raise _refused(f"{len(own)} visits by {own[0].arm}", "accept.visits")
    longest = max((stop.steps for stop in own), default=0)
    if accept.steps is not None and longest > accept.steps:
        raise _refused(f"{longest} steps a visit", "accept.steps")


def check_patients(policy: Policy, patients: int) -> None:
    """Raise RefusedError where too few patients would take part."""
    if patients < policy.release.least_patients:
        raise RefusedError(
            "This hospital has fewer training patients in this study than its policy asks for"
            " (release.least_patients)."
        )


def _refused(what: str, key: str) -> RefusedError:
    return RefusedError(f"This hospital's policy does not allow {what} ({key}).")

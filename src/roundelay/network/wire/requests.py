"""What a coordinator may ask of a hospital: four requests, and every key of each.

A request to train names an arm and a leg and nothing else of the work: which slices, how many
steps, in which order follows from the study and the signed numbers of all sites, and each hospital
computes it itself.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from roundelay.errors import RefusedError
from roundelay.network.wire.parsing import (
    ArmLabel,
    Finite,
    LegIndex,
    Name,
    Part,
    RunName,
    parsed,
    plain,
)
from roundelay.network.wire.statements import Proof, SignedSurvey

MOST_SITES = 1000


class Introduce(Part):
    """Who are you?"""

    ask: Literal["introduce"]
    site: Name
    time: Finite


class OfStudy(Part):
    """A request that belongs to a run of a study."""

    site: Name
    run: RunName
    proposal: dict[str, Any]


class AskSurvey(OfStudy):
    """Your numbers for this study?"""

    ask: Literal["survey"]


class AskModel(OfStudy):
    """A request that comes with a baton."""

    surveys: Annotated[dict[Name, SignedSurvey], Field(max_length=MOST_SITES)]
    arm: ArmLabel
    leg: LegIndex
    proof: Proof


class AskVisit(AskModel):
    """Make your stop of this leg."""

    ask: Literal["train"]


class AskScores(AskModel):
    """Score the model that leg `leg` left, counted in the order in which legs were run."""

    ask: Literal["evaluate"]
    split: Literal["validation", "test"]


Request = Introduce | AskSurvey | AskVisit | AskScores

KINDS: Mapping[str, type[Introduce | AskSurvey | AskVisit | AskScores]] = {
    "introduce": Introduce,
    "survey": AskSurvey,
    "train": AskVisit,
    "evaluate": AskScores,
}


def parsed_request(head: Mapping[str, Any]) -> Request:
    """A request. Raises RefusedError for anything else."""
    kind = head.get("ask")
    if not isinstance(kind, str) or kind not in KINDS:
        raise RefusedError("This version does not answer to what it was asked.")
    return parsed(KINDS[kind], plain(head), "The request")

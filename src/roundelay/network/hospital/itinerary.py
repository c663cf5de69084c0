"""A hospital lays the itinerary itself, from the study and the numbers that all sites signed.

A request names an arm and a leg; which slices this hospital trains on, how many steps and with what
weights follows from what is computed here, whoever asks and however it is signed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from roundelay.data.survey import TEST, SiteSurvey
from roundelay.errors import RefusedError, UserError
from roundelay.network.wire.proposal import Proposal
from roundelay.network.wire.statements import SignedSurvey, check_survey
from roundelay.plan.arms import Arm, lay
from roundelay.plan.itinerary import Leg, Stop
from roundelay.plan.legs import scored_after


@dataclass(frozen=True, slots=True)
class Laid:
    """The numbers of all sites, and every arm that follows from them."""

    surveys: Mapping[str, SiteSurvey]
    arms: tuple[Arm, ...]

    def arm(self, label: str) -> Arm:
        """Raises RefusedError for an arm that the study does not have."""
        for arm in self.arms:
            if arm.label == label:
                return arm
        labels = ", ".join(arm.label for arm in self.arms)
        raise RefusedError(f"The study has no arm {label}; its arms are {labels}.")


def lay_here(proposal: Proposal, run: str, signed: Mapping[str, SignedSurvey]) -> Laid:
    """Raises RefusedError unless every site of the roster, and no other, signed its numbers for
    this run of this study."""
    if set(signed) != set(proposal.sites):
        raise RefusedError("The numbers that came are not those of the sites of the roster.")
    surveys = {
        site: check_survey(signed[site], site, proposal.roster[site], run, proposal.digest)
        for site in proposal.sites
    }
    try:
        return Laid(surveys, tuple(lay(proposal.study, surveys, sealed=proposal.sealed)))
    except UserError as error:
        raise RefusedError(f"No itinerary follows from the study and these numbers: {error}") from (
            error
        )


def own_stop(arm: Arm, leg: int, site: str) -> tuple[Leg, Stop]:
    """The leg, and this site's stop in it. Raises RefusedError where it has none."""
    if leg >= len(arm.legs):
        raise RefusedError(f"{arm.label} has {len(arm.legs)} legs, no leg {leg + 1}.")
    for stop in arm.legs[leg].stops:
        if stop.site == site:
            return arm.legs[leg], stop
    raise RefusedError(f"Leg {leg + 1} of {arm.label} has no stop at {site}.")


def check_scoring(proposal: Proposal, arm: Arm, number: int, split: str) -> None:
    """Raise RefusedError for scores that the study does not ask for: of another split, or after
    another hand-over than it follows or ends with."""
    if number >= len(arm.legs):
        raise RefusedError(f"{arm.label} has {len(arm.legs)} legs, no leg {number + 1}.")
    if number not in scored_after(arm.legs, proposal.study.evaluation)[split]:
        when = "the arm's end" if split == TEST else "the hand-overs that the study follows"
        raise RefusedError(
            f"The study asks for scores of {split} patients after {when}, not after leg"
            f" {number + 1} of {arm.label}."
        )

"""The policy's limits, each looked at in every request that it concerns."""

from collections.abc import Sequence

from roundelay.data.survey import TRAIN, SiteSurvey
from roundelay.errors import RefusedError
from roundelay.network.hospital.policy import Policy
from roundelay.network.wire.keys import fingerprint
from roundelay.network.wire.proposal import Proposal
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import IN_TURN
from roundelay.records.signatures import COORDINATOR


def accepts_unasked(policy: Policy, proposal: Proposal) -> bool:
    """Whether the policy names this study, or its owner."""
    owner = fingerprint(proposal.roster[COORDINATOR])
    return proposal.study.digest in policy.accept.studies or owner in policy.accept.owners


def check_study(policy: Policy, proposal: Proposal) -> None:
    """Raise RefusedError where the policy does not allow the study at all."""
    accept = policy.accept
    encoder, rounds = proposal.study.model.encoder, proposal.study.recipe.rounds
    if proposal.seal not in accept.seals:
        raise _refused(f'seal = "{proposal.seal}"', "accept.seals")
    if accept.encoders and encoder not in accept.encoders:
        raise _refused(f"the encoder {encoder}", "accept.encoders")
    if accept.rounds is not None and rounds > accept.rounds:
        raise _refused(f"{rounds} rounds", "accept.rounds")


def check_itinerary(policy: Policy, site: str, arms: Sequence[Arm]) -> None:
    """Raise RefusedError where an arm visits the site more often or longer than the policy accepts,
    or on fewer different slices."""
    accept = policy.accept
    for arm in arms:
        own = [stop for leg in arm.legs for stop in leg.stops if stop.site == site]
        if accept.visits is not None and len(own) > accept.visits:
            raise _refused(f"{len(own)} visits by {arm.label}", "accept.visits")
        for stop in own:
            if accept.steps is not None and stop.steps > accept.steps:
                raise _refused(f"{stop.steps} steps a visit", "accept.steps")
            if stop.slice_count < accept.least_slices:
                raise _refused(
                    f"a visit on {stop.slice_count} different slices", "accept.least_slices"
                )


def check_task(policy: Policy, task: str) -> None:
    """Raise RefusedError where the policy does not allow what is asked for; a recalibration is one,
    in turn or side by side."""
    task = "recalibrate" if task == IN_TURN else task
    if task not in policy.accept.tasks:
        raise _refused(f"the task {task!r}", "accept.tasks")


def check_patients(policy: Policy, proposal: Proposal, survey: SiteSurvey) -> None:
    """Raise RefusedError where too few training patients would take part. The site that a study
    leaves out of training has none, and needs none."""
    if survey.site == proposal.study.evaluation.leave_out:
        return
    if survey.patients[TRAIN] < policy.release.least_patients:
        raise RefusedError(
            "This hospital has fewer training patients in this study than its policy asks for"
            " (release.least_patients)."
        )


def _refused(what: str, key: str) -> RefusedError:
    return RefusedError(f"This hospital's policy does not allow {what} ({key}).")

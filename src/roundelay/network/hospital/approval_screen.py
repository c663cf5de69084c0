"""What an operator reads before approving: what will happen here, what leaves, who can read it."""

from collections.abc import Mapping

from roundelay.data.survey import TEST, TRAIN, VALIDATION, SiteSurvey
from roundelay.errors import UserError
from roundelay.network.hospital.consent import Waiting
from roundelay.network.hospital.policy import Policy
from roundelay.network.wire.keys import fingerprint
from roundelay.network.wire.proposal import Proposal
from roundelay.plan.arms import Arm, lay
from roundelay.plan.exposure import exposed
from roundelay.plan.legs import scored_after
from roundelay.records.signatures import COORDINATOR

FEW = 5
"""With fewer training patients than this a change of weights says much of each of them."""

READERS = {
    "sites": "Only the hospitals that the model visits can read the model; the server and the owner"
    " of the study can't.",
    "owner": "The hospitals that the model visits can read the model, and so can the owner of the"
    " study; the server can't.",
    "none": "The model is NOT sealed: server and owner can read it after every visit, and could"
    " compute what this hospital changed in it.",
}

TURNS = {
    "wait": "A hospital that is away is waited for.",
    "defer": "A hospital that is away may be put off to later in its round.",
    "skip": "The turn of a hospital that is away may be skipped.",
}


def in_sentences(waiting: Waiting, survey: SiteSurvey, policy: Policy) -> list[str]:
    """For the operator of the site whose numbers are `survey`."""
    proposal, site = waiting.proposal, survey.site
    arms, work = _work(proposal, survey)
    others = [name for name in proposal.sites if name != site]
    return [
        f"Study {proposal.study.name}, digest {proposal.study.digest}, run {waiting.run}.",
        f"Proposed by the owner of the keys {fingerprint(proposal.roster[COORDINATOR])}.",
        f"With: {', '.join(others) or 'no other hospital'}."
        f" All their keys together: {fingerprint(dict(proposal.roster))}.",
        f"Patients here: {_counts(survey.patients)}; slices: {_counts(survey.slices)}.",
        f"What runs here, on a U-Net ({proposal.study.model.encoder}), with this computer's own"
        " Roundelay and torch:",
        *work,
        *_leaves(proposal, survey, policy),
        READERS[proposal.seal],
        TURNS[proposal.absent],
        "The hospital that comes next can compute what this hospital's visit changed.",
        *_sums(proposal),
        *_warnings(arms, survey, proposal),
        f"This approves this one run; {_more_runs(policy)}.",
    ]


def _work(proposal: Proposal, survey: SiteSurvey) -> tuple[list[Arm], list[str]]:
    """The arms, laid as if all hospitals were as large as this one, and what each does here."""
    try:
        numbers = dict.fromkeys(proposal.sites, survey)
        arms = lay(proposal.study, numbers, sealed=proposal.sealed)
    except UserError as error:
        return [], [f"  It can't be said from this hospital's numbers alone: {error}"]
    lines = [f"  {line}" for arm in arms for line in _arm(proposal, arm, survey)]
    return arms, lines + _how_exact(proposal)


def _counts(by_split: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in by_split.items())


def _arm(proposal: Proposal, arm: Arm, survey: SiteSurvey) -> list[str]:
    """One arm's stops here, and how often its models are scored."""
    own = [stop for leg in arm.legs for stop in leg.stops if stop.site == survey.site]
    found = []
    for trains, verb in ((True, "trains in"), (False, "recalibrates BatchNorm in")):
        if stops := [stop for stop in own if (stop.task == "train") == trains]:
            steps = sum(stop.steps for stop in stops)
            visits = sum(stop.slice_visits for stop in stops)
            different = max(stop.slice_count for stop in stops)
            found.append(
                f"{arm.label} {verb} {_times(len(stops), 'visit')}: {_times(steps, 'step')} and"
                f" {visits} slice-visits in all, on {_times(different, 'different slice')}."
            )
    if not found:
        found.append(f"{arm.label} does not train here.")
    numbers = scored_after(arm.legs, proposal.study.evaluation)
    ends = 1 if survey.patients[TEST] else 0
    after = len(numbers[VALIDATION]) if survey.patients[VALIDATION] else 0
    found.append(
        f"{arm.label} is scored here {_times(after, 'time')} on the validation patients,"
        f" {_times(ends, 'time')} on the test patients."
    )
    return found


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _how_exact(proposal: Proposal) -> list[str]:
    """Which of these figures depend on numbers that other hospitals have yet to sign."""
    recipe, shared = proposal.study.recipe, proposal.study.data.train_slices is not None
    by_size = recipe.work == ("equal" if recipe.steps is None else "proportional")
    lonely = any(arm == "local" for arm in proposal.study.arms)
    if not (by_size or shared or lonely or recipe.order == "size"):
        return []
    return [
        "  These figures are those of hospitals as large as this one: how the work is shared"
        " follows from the numbers that all of them sign. Limits: accept.steps, accept.visits and"
        " accept.least_slices in policy.toml.",
    ]


def _leaves(proposal: Proposal, survey: SiteSurvey, policy: Policy) -> list[str]:
    recipe = proposal.study.recipe
    further = ", how important each of them was here" * recipe.importance_travels
    further += ", the sums of its BatchNorm layers" * recipe.recalibrate_batchnorm
    scores = "; ".join(
        f"{split} patients: {_released(survey.patients[split], policy)}"
        for split in (VALIDATION, TEST)
    )
    return [
        f"What leaves: the weights of the network after each visit{further}, counts of patients and"
        " slices, which channels and label values there are and how many exams lack one, one digest"
        " over the images, loss, time and the kind of computer of each visit.",
        f"Scores that leave, by this hospital's policy: {scores}.",
    ]


def _sums(proposal: Proposal) -> list[str]:
    """Who learns the sums of a recalibration where nobody in the middle adds them."""
    if not (proposal.sealed and proposal.study.recipe.recalibrate_batchnorm):
        return []
    return [
        "The sums of the BatchNorm layers travel on to the hospital that recalibrates next, and to"
        " no other: it sees those of all hospitals before it together, of the first one alone."
        " Who hands them to the last one can compute its sums from the final model."
    ]


def _released(patients: int, policy: Policy) -> str:
    release = policy.release
    if not patients:
        return "none, there are no such patients"
    if release.scores == "none":
        return 'none (release.scores = "none")'
    if patients < release.least_scored:
        count = _times(patients, "patient")
        return f"none of {count}, fewer than {release.least_scored} (release.least_scored)"
    return "one row for all" if release.scores == "site" else "one row each, under a number"


def _warnings(arms: list[Arm], survey: SiteSurvey, proposal: Proposal) -> list[str]:
    patients, found = survey.patients[TRAIN], []
    trains = survey.site != proposal.study.evaluation.leave_out
    if trains and patients < FEW:
        found.append(
            f"WARNING: {_times(patients, 'training patient')} here: what a visit changes in the"
            " model says much about each of them."
        )
    places = {place for arm in arms for place in exposed(arm, survey.site)} if trains else set()
    if places:
        found.append(
            f"NOTE: this hospital stands {' and '.join(sorted(places))} in the order of the visits,"
            " where what it changed is least hidden."
        )
    return found


def _more_runs(policy: Policy) -> str:
    if policy.accept.runs == 1:
        return "another run of the study asks again (accept.runs in policy.toml)"
    return f"up to {policy.accept.runs} runs of it need no other approval (accept.runs)"

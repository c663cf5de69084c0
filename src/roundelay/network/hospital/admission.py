"""Which requests a hospital answers: all that is not signed, approved and allowed is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.data.survey import cohort_digest
from roundelay.errors import RefusedError
from roundelay.files.canonical import digest_of
from roundelay.network.hospital.consent import check_consent
from roundelay.network.hospital.itinerary import Laid, check_scoring, lay_here, own_stop
from roundelay.network.hospital.policy import Policy
from roundelay.network.hospital.policy_checks import (
    check_itinerary,
    check_patients,
    check_study,
    check_task,
)
from roundelay.network.hospital.store import Settings, pin_run
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import Message
from roundelay.network.wire.proposal import Proposal, proposal_from_json
from roundelay.network.wire.requests import AskScores, AskSurvey, AskVisit
from roundelay.network.wire.statements import Proof
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import Leg, Stop
from roundelay.records.signatures import COORDINATOR


@dataclass(frozen=True, slots=True)
class Hospital:
    """Who is asked: its folder, settings, policy and keys."""

    home: Path
    settings: Settings
    policy: Policy
    keys: Keys

    @property
    def name(self) -> str:
        return self.settings.name


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be answered: its owner signed it, the hospital approved its study."""

    hospital: Hospital
    proposal: Proposal
    run: str


@dataclass(frozen=True, slots=True)
class AdmittedModel(Admitted):
    """A request with a baton, of an arm that the hospital laid itself."""

    laid: Laid
    arm: Arm
    proof: Proof
    payload: bytes
    payload_digest: str

    def place(self, leg: int) -> dict[str, Any]:
        """Where in the study a baton of `leg` comes from."""
        return {
            "run": self.run,
            "proposal": self.proposal.digest,
            "cohort": cohort_digest(self.laid.surveys),
            "arm": self.arm.label,
            "leg": leg,
        }

    def key(self, what: str) -> str:
        """What is asked, whoever delivers it how often: the place, and the baton to begin with."""
        return digest_of([self.place(-1), self.hospital.name, what, self.proof.statement.returned])


@dataclass(frozen=True, slots=True)
class AdmittedVisit(AdmittedModel):
    """This hospital's own stop of a leg."""

    leg: Leg
    stop: Stop


@dataclass(frozen=True, slots=True)
class AdmittedScores(AdmittedModel):
    """Scores of one split after a hand-over, counted from 0, that the study asks for."""

    number: int
    split: str


def admit(
    hospital: Hospital, request: AskSurvey | AskVisit | AskScores, message: Message
) -> Admitted:
    """Raise RefusedError unless owner, hospital and policy agree: signed, approved, allowed."""
    proposal = proposal_from_json(request.proposal)
    message.check(proposal.roster[COORDINATOR], COORDINATOR)
    if request.site != hospital.name:
        raise RefusedError("The message is meant for another hospital.")
    check_study(hospital.policy, proposal)
    check_consent(
        hospital.home, hospital.policy, proposal, request.run, hospital.name, hospital.keys
    )
    if isinstance(request, AskSurvey):
        return Admitted(hospital, proposal, request.run)
    laid = lay_here(proposal, request.run, request.surveys)
    check_patients(hospital.policy, proposal, laid.surveys[hospital.name])
    check_itinerary(hospital.policy, hospital.name, laid.arms)
    found = _admit_model(hospital, proposal, request, laid, message)
    pin_run(hospital.home, request.run, proposal.digest, laid.surveys)
    return found


def _admit_model(
    hospital: Hospital,
    proposal: Proposal,
    request: AskVisit | AskScores,
    laid: Laid,
    message: Message,
) -> AdmittedModel:
    arm = laid.arm(request.arm)
    sent = (request.proof, message.payload, message.digest)
    given = (hospital, proposal, request.run, laid, arm, *sent)
    if isinstance(request, AskVisit):
        leg, stop = own_stop(arm, request.leg, hospital.name)
        check_task(hospital.policy, stop.task)
        return AdmittedVisit(*given, leg, stop)
    check_task(hospital.policy, "evaluate")
    check_scoring(proposal, arm, request.leg, request.split)
    return AdmittedScores(*given, request.leg, request.split)

"""Which requests a hospital answers, and which stop they ask for: all else is refused here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.errors import RefusedError
from roundelay.files.canonical import digest_of
from roundelay.network.hospital.consent import check_consent
from roundelay.network.hospital.policy import Policy, check_task
from roundelay.network.hospital.store import Settings
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import Message
from roundelay.network.wire.proposal import Proposal, proposal_from_json
from roundelay.plan.itinerary import Leg, Stop, legs_from_json
from roundelay.records.signatures import COORDINATOR


@dataclass(frozen=True, slots=True)
class Admitted:
    """A question that may be answered: the owner signed it, and the hospital consented."""

    home: Path
    settings: Settings
    policy: Policy
    keys: Keys
    proposal: Proposal
    head: Mapping[str, Any]
    payload: bytes

    @property
    def site(self) -> str:
        return self.settings.name

    def place(self, leg: int) -> dict[str, Any]:
        """Where in the study a baton of `leg` comes from."""
        return {
            "run": str(self.head["run"]),
            "proposal": self.proposal.digest,
            "arm": str(self.head["arm"]),
            "leg": leg,
        }


def admit(
    home: Path, settings: Settings, policy: Policy, keys: Keys, message: Message
) -> Admitted:  # fmt: skip
    """Raise RefusedError unless owner, hospital and policy agree: signed, approved, allowed."""
    proposal = proposal_from_json(message.head.get("proposal") or {})
    if COORDINATOR not in proposal.roster:
        raise RefusedError("The study's roster names no coordinator.")
    message.check(proposal.roster[COORDINATOR], COORDINATOR)
    if message.head.get("site") != settings.name:
        raise RefusedError("The message is meant for another hospital.")
    check_task(policy, proposal, "train")
    check_consent(home, policy, proposal, settings.name, keys)
    return Admitted(home, settings, policy, keys, proposal, message.head, message.payload)


def stop_of(request: Admitted) -> tuple[tuple[Leg, ...], Leg, Stop]:
    """The arm's legs, the one asked for and this site's stop in it. Raises RefusedError."""
    try:
        legs = legs_from_json(request.head["legs"])
        leg = legs[int(request.head["leg"])]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RefusedError("The itinerary of this arm can't be read.") from error
    own = [stop for stop in leg.stops if stop.site == request.site]
    if len(own) != 1:
        raise RefusedError(f"Leg {leg.index + 1} has no stop at {request.site}.")
    return legs, leg, own[0]


def key_of(request: Admitted) -> str:
    """What is asked, whoever delivers it how often: the place, and the baton to begin with."""
    proof = request.head.get("proof") or {}
    returned = (proof.get("statement") or {}).get("returned")
    return digest_of([request.place(int(request.head["leg"])), request.site, returned])

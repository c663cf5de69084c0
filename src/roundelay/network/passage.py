"""A baton on its way between hospitals: who signed it, who may open it, what it must be."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from roundelay.atomic import canonical_json
from roundelay.baton import Baton
from roundelay.errors import RefusedError
from roundelay.itinerary import Leg
from roundelay.network.keys import Keys, signed_by
from roundelay.network.kits import COORDINATOR
from roundelay.network.proposal import Proposal
from roundelay.network.sealing import seal, unseal

Place = Mapping[str, Any]
"""Where in a study a baton comes from: ``run``, ``proposal``, ``arm``, ``leg`` (-1: the start)."""


def holder_before(legs: Sequence[Leg], leg: int, absent: Collection[int]) -> Leg | None:
    """The leg whose one site hands over to `leg`; None where it is the coordinator: at the start,
    and where several batons were merged. Sites that were `absent` handed nothing over."""
    for before in reversed(legs[:leg]):
        if before.index in absent:
            continue
        return before if len(before.stops) == 1 and before.task == "train" else None
    return None


def recipients(
    proposal: Proposal, legs: Sequence[Leg], leg: int, *, everyone: bool
) -> tuple[str, ...]:
    """Who may open the baton that `leg` hands on: the next site, or all sites where all are to
    judge the model (ends of rounds, the end); the owner only if the study says so."""
    if everyone or leg + 1 >= len(legs) or _followed(proposal, legs, leg):
        names = proposal.sites
    else:
        names = tuple(stop.site for stop in legs[leg + 1].stops)
    return (*names, COORDINATOR) if proposal.seal == "owner" else names


def _followed(proposal: Proposal, legs: Sequence[Leg], leg: int) -> bool:
    evaluation = proposal.study.evaluation
    if evaluation.follow == "visit":
        return True
    last_of_round = legs[leg].stops[0].round != legs[leg + 1].stops[0].round
    return last_of_round and (evaluation.follow != "none" or evaluation.choose != "last")


def hand_over(
    plain: Baton, place: Place, proposal: Proposal, to: Sequence[str], by: str, keys: Keys,
    receipt: Mapping[str, Any] | None = None,
) -> Baton:  # fmt: skip
    """The baton as it travels: sealed, unless the study goes open, and signed with its receipt."""
    data, sealed = plain.data, ""
    if proposal.seal != "none":
        data = seal(data, {name: proposal.roster[name] for name in to}, canonical_json(place))
        sealed = hashlib.sha256(data).hexdigest()
    return Baton(data, state(place, plain.digest, sealed, receipt, by, keys))


def state(
    place: Place, returned: str, sealed: str, receipt: Mapping[str, Any] | None, by: str, keys: Keys
) -> dict[str, Any]:
    """What `by` says of a baton that leaves its hand, signed."""
    statement = {**place, "returned": returned, "sealed": sealed, "receipt": receipt}
    return {
        "statement": statement,
        "signer": by,
        "signature": keys.sign(canonical_json(statement)),
    }


def passed_over(
    baton: Baton, place: Place, receipt: Mapping[str, Any], by: str, keys: Keys
) -> Baton:  # fmt: skip
    """The same baton, with the signed word that the site of this leg was absent."""
    sealed = hashlib.sha256(baton.data).hexdigest() if baton.sealed else ""
    word = state(place, baton.digest, sealed, receipt, by, keys)
    before = baton.proof or state({**place, "leg": -1}, baton.digest, "", None, by, keys)
    return Baton(baton.data, {**before, "absent": [*before.get("absent", []), word]})


def check_proof(proof: Any, place: Place, proposal: Proposal, signer: str) -> Mapping[str, Any]:
    """The statement of a proof. Raises RefusedError unless `signer` made it for this place."""
    try:
        statement, signature = proof["statement"], proof["signature"]
        by = proof["signer"]
        stated = {key: statement[key] for key in place}
        sealed = bool(statement["sealed"])
    except (KeyError, TypeError) as error:
        raise RefusedError("The baton comes without the statement of its last holder.") from error
    if by != signer or not signed_by(
        proposal.roster[signer], canonical_json(statement), str(signature)
    ):
        raise RefusedError(f"The baton isn't signed by {signer}, who should have handed it over.")
    for key, value in place.items():
        if stated[key] != value:
            raise RefusedError(
                f"The baton belongs to another {key} ({str(stated[key])[:12]}, not"
                f" {str(value)[:12]})."
            )
    if sealed != (proposal.seal != "none"):
        raise RefusedError("The baton is not sealed as the study says.")
    return dict(statement)


def opened(
    data: bytes, proof: Any, place: Place, proposal: Proposal, signer: str, name: str, keys: Keys
) -> Baton:
    """The plain baton. Raises RefusedError where anything about it is not as it should be."""
    statement = check_proof(proof, place, proposal, signer)
    if statement["sealed"]:
        if hashlib.sha256(data).hexdigest() != statement["sealed"]:
            raise RefusedError("The sealed baton was altered on its way.")
        data = unseal(data, name, keys, canonical_json(place))
    plain = Baton(data)
    if plain.digest != statement["returned"]:
        raise RefusedError("The baton is not the one that its last holder handed over.")
    return plain

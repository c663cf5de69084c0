"""A baton on its way between hospitals: who signed it, who may open it, what it must be."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from roundelay.atomic import canonical_json
from roundelay.baton import Baton
from roundelay.errors import RefusedError
from roundelay.itinerary import Leg, Stop
from roundelay.ledger import Receipt
from roundelay.network.keys import Keys, signed_by
from roundelay.network.kits import COORDINATOR
from roundelay.network.proposal import Proposal
from roundelay.network.sealing import seal, unseal

Place = Mapping[str, Any]
"""Where in a study a baton comes from: ``run``, ``proposal``, ``arm``, ``leg`` (-1: the start)."""


def holder(proposal: Proposal, legs: Sequence[Leg], leg: int, before: int) -> str:
    """Who hands over to `leg` the baton that leg `before` returned (-1: the start).

    Raises RefusedError where the study leaves no room for that: where sites that are away are
    waited for, it is the leg before; where they may be put off, one of this round or the last one.
    """
    if not -1 <= before < len(legs) or before == leg or not _in_turn(proposal, legs, leg, before):
        raise RefusedError(
            f"The baton of leg {before + 1} is handed over out of turn, to leg {leg + 1}."
        )
    if before == -1:
        return COORDINATOR
    if len(legs[before].stops) == 1 and legs[before].task == "train":
        return legs[before].stops[0].site
    if proposal.seal != "none":
        raise RefusedError("Merged batons do not travel in a sealed study.")
    return COORDINATOR


def _in_turn(proposal: Proposal, legs: Sequence[Leg], leg: int, before: int) -> bool:
    if proposal.absent == "wait":
        return before == leg - 1
    if proposal.absent == "skip":
        return before < leg
    rounds = legs[leg].stops[0].round, 0 if before == -1 else legs[before].stops[0].round
    return rounds[1] in (rounds[0], rounds[0] - 1)


def recipients(proposal: Proposal, legs: Sequence[Leg], leg: int) -> tuple[str, ...]:
    """Who may open the baton that `leg` hands on: the next site; all sites where all are to judge
    the model (ends of rounds, the end), and where it is open who is next; the owner only if the
    study says so."""
    if proposal.absent != "wait" or leg + 1 >= len(legs) or _followed(proposal, legs, leg):
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


def absence(stop: Stop, kind: str, baton: Baton, seconds: float) -> Receipt:
    """The receipt for a turn of a site that was away: ``absent``, it was skipped; ``deferred``, it
    was put off. `seconds` is how long the site was waited for; the baton stays as it is."""
    return Receipt(
        stop=stop.index, site=stop.site, round=stop.round, task=kind, received=baton.digest,
        returned=baton.digest, patients=0, slices=0, slice_visits=0, steps=0, loss=None,
        seconds=round(seconds, 3), sent_bytes=0, returned_bytes=0, machine="",
    )  # fmt: skip


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

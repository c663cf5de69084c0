"""A baton between hospitals: who signed it, and what it must be."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from roundelay.errors import RefusedError
from roundelay.files.canonical import canonical_json
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.proposal import Proposal
from roundelay.network.wire.sealing import in_pieces, seal, sealed, unseal, unseal_own
from roundelay.network.wire.statements import Proof, Statement, parsed_proof
from roundelay.plan.itinerary import Stop
from roundelay.records.signatures import signed_by
from roundelay.relay.baton import Baton
from roundelay.relay.receipt import Receipt

Place = Mapping[str, Any]
"""Where in a study a baton comes from: ``run``, ``proposal``, ``cohort`` (of all sites' numbers),
``arm``, ``leg`` (-1: the start)."""


def hand_over(
    plain: Baton, place: Place, proposal: Proposal, to: Sequence[str], by: str, keys: Keys,
    receipt: Receipt | None = None,
) -> Baton:  # fmt: skip
    """The baton as it travels: sealed, unless the study goes open, and signed with its receipt."""
    data, digest = plain.data, ""
    if proposal.seal != "none":
        data = seal(data, {name: proposal.roster[name] for name in to}, canonical_json(place))
        digest = hashlib.sha256(data).hexdigest()
    return Baton(data, state(place, plain.digest, digest, receipt, by, keys))


@dataclass(frozen=True, slots=True)
class Opener:
    """What opens an envelope to who sealed it, who isn't among its recipients; without a key it is
    none, and lies open."""

    key: str = field(repr=False)
    context: str

    def opened(self, data: bytes) -> bytes:
        """Raises ValueError where the envelope was altered."""
        if not self.key:
            return data
        return unseal_own(data, bytes.fromhex(self.key), self.context.encode())


def hand_over_in_pieces(
    plain: Baton, place: Place, proposal: Proposal, to: Sequence[str], by: str, keys: Keys,
    write: Callable[[Iterable[bytes]], None], receipt: Receipt,
) -> tuple[dict[str, Any], str, Opener]:  # fmt: skip
    """As `hand_over`, through `write`, which takes the bytes as they are sealed; what is stated of
    them, their digest, and what opens them here."""
    context = canonical_json(place)
    if proposal.seal == "none":
        write(in_pieces(plain.data))
        stated = state(place, plain.digest, "", receipt, by, keys)
        return stated, plain.digest, Opener("", context.decode())
    envelope = sealed(plain.data, {name: proposal.roster[name] for name in to}, context)
    found = hashlib.sha256()
    write(_digested(envelope.pieces, found))
    digest = found.hexdigest()
    stated = state(place, plain.digest, digest, receipt, by, keys)
    return stated, digest, Opener(envelope.key.hex(), context.decode())


def _digested(pieces: Iterable[bytes], into: Any) -> Iterator[bytes]:
    for piece in pieces:
        into.update(piece)
        yield piece


def state(
    place: Place, returned: str, sealed: str, receipt: Receipt | None, by: str, keys: Keys
) -> dict[str, Any]:
    """What `by` says of a baton that leaves its hand, signed."""
    stated = None if receipt is None else asdict(receipt)
    statement = {**place, "returned": returned, "sealed": sealed, "receipt": stated}
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
    baton: Baton, place: Place, receipt: Receipt, by: str, keys: Keys
) -> Baton:  # fmt: skip
    """The same baton, with the signed statement that the site of this leg was absent."""
    sealed = hashlib.sha256(baton.data).hexdigest() if baton.sealed else ""
    statement = state(place, baton.digest, sealed, receipt, by, keys)
    before = baton.proof or state({**place, "leg": -1}, baton.digest, "", None, by, keys)
    return Baton(baton.data, {**before, "absent": [*before.get("absent", []), statement]})


def check_proof(proof: Proof, place: Place, proposal: Proposal, signer: str) -> Statement:
    """The statement of a proof. Raises RefusedError unless `signer` made it for this place."""
    statement = proof.statement
    stated = statement.model_dump()
    public = proposal.roster.get(signer, {})
    if proof.signer != signer or not signed_by(public, canonical_json(stated), proof.signature):
        raise RefusedError(f"The baton isn't signed by {signer}, who should have handed it over.")
    if statement.cohort != place["cohort"]:
        raise RefusedError(
            f"{signer} was told other numbers of the hospitals than came here: somebody signed its"
            " own twice. Compare the numbers by telephone before this run goes on."
        )
    for key, value in place.items():
        if stated[key] != value:
            raise RefusedError(
                f"The baton belongs to another {key} ({str(stated[key])[:12]}, not"
                f" {str(value)[:12]})."
            )
    if bool(statement.sealed) != (proposal.seal != "none"):
        raise RefusedError("The baton is not sealed as the study says.")
    return statement


def opened(
    data: bytes, proof: Proof, place: Place, proposal: Proposal, signer: str, name: str, keys: Keys,
    digest: str = "",
) -> Baton:  # fmt: skip
    """The plain baton of `data`, whose `digest` may be known. Raises RefusedError where anything
    about it is not as it should be."""
    statement = check_proof(proof, place, proposal, signer)
    if statement.sealed:
        if (digest or hashlib.sha256(data).hexdigest()) != statement.sealed:
            raise RefusedError("The sealed baton was altered after it was sealed.")
        data = unseal(data, name, keys, canonical_json(place))
    plain = Baton(data)
    if plain.digest != statement.returned:
        raise RefusedError("The baton is not the one that its last holder handed over.")
    return plain


def proof_of(baton: Baton) -> Proof:
    """The statement of a baton's last holder. Raises RefusedError where it comes without one."""
    return parsed_proof(baton.proof)

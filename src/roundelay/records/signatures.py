"""Whether the hospitals themselves signed what a ledger says; works offline, with the roster."""

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from roundelay.errors import LedgerError
from roundelay.files.canonical import canonical_json, digest_of
from roundelay.relay.receipt import absence_statements

COORDINATOR = "coordinator"


def check_signatures(
    record: Mapping[str, Any], label: str, lines: Sequence[Mapping[str, Any]]
) -> int:
    """How many receipts of an arm are signed by the site that they name.

    Those of skipped stops are signed by the coordinator, and don't count.

    `record` is run.json with the roster, `lines` are the ledger's. Raises LedgerError for a
    receipt that isn't signed, or whose signature is for another receipt, place or run.
    """
    network = record["network"]
    proposal = proposal_digest(record["study"], network)
    signed = 0
    for number, line in enumerate(lines[1:], start=1):
        proofs = _proofs(line)
        if len(proofs) != len(line["receipts"]):
            raise LedgerError(f"{label}, leg {number}: a receipt isn't signed.")
        place = {"run": network["run"], "proposal": proposal, "arm": label, "leg": line["leg"]}
        for statement in absence_statements(line, "deferred"):
            put_off = {**place, "leg": statement["statement"]["leg"]}
            receipt = statement["statement"]["receipt"]
            if fault := _fault(statement, put_off, receipt, COORDINATOR, record):
                raise LedgerError(f"{label}, leg {number}: {fault}. The ledger was forged.")
        for receipt, proof in zip(line["receipts"], proofs, strict=True):
            who = COORDINATOR if receipt["task"] == "absent" else receipt["site"]
            if fault := _fault(proof, place, receipt, who, record):
                raise LedgerError(f"{label}, leg {number}: {fault}. The ledger was forged.")
            signed += who != COORDINATOR
    return signed


def _proofs(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statement for each receipt; of a stop that was skipped, the coordinator's statement."""
    found = []
    for receipt, proof in zip(line["receipts"], line.get("proofs", []), strict=False):
        if receipt["task"] == "absent":
            statements = absence_statements(line, "absent")
            proof = next((s for s in statements if s["statement"]["leg"] == line["leg"]), None)
        if proof:
            found.append(proof)
    return found


def _fault(
    proof: Mapping[str, Any],
    place: Mapping[str, Any],
    receipt: Mapping[str, Any],
    who: str,
    record: Mapping[str, Any],
) -> str | None:
    public, cohort = record["network"]["roster"].get(who, {}), record["cohort"]
    try:
        statement = proof["statement"]
        if proof["signer"] != who or not signed_by(
            public, canonical_json(statement), proof["signature"]
        ):
            return f"the receipt isn't signed by {who}"
        if statement["receipt"] != receipt or statement["returned"] != receipt["returned"]:
            return f"{who} signed another receipt"
        if any(statement[key] != value for key, value in place.items()):
            return f"{who} signed this receipt in another place"
        if statement.get("cohort", cohort) != cohort:  # earlier versions signed none
            return f"{who} signed this receipt for other numbers of the hospitals"
    except (KeyError, TypeError):
        return f"what {who} signed can't be read"
    return None


Public = Mapping[str, str]
"""``sign`` and ``seal``: the public halves, 32 bytes each in hexadecimal."""


def signed_by(public: Public, data: bytes, signature: str) -> bool:
    """Whether the holder of these keys signed `data`."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public["sign"]))
        key.verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
    return True


def proposal_digest(study: str, terms: Mapping[str, Any]) -> str:
    """The digest of a proposal from that of its study, and its terms."""
    return digest_of({"study": study, **{key: terms[key] for key in ("seal", "absent", "roster")}})


def survey_statement(numbers: Mapping[str, Any], run: str, proposal: str) -> dict[str, Any]:
    """What a site signs of its numbers: they are for one run of one study."""
    return {"run": run, "proposal": proposal, "survey": dict(numbers)}


def check_survey_signatures(record: Mapping[str, Any]) -> None:
    """Raise LedgerError unless each site of run.json signed its numbers for this run."""
    network = record["network"]
    proposal = proposal_digest(record["study"], network)
    for numbers in record["sites"]:
        site = numbers["site"]
        statement = survey_statement(numbers, network["run"], proposal)
        signature = str(network["survey_signatures"].get(site, ""))
        if not signed_by(network["roster"].get(site, {}), canonical_json(statement), signature):
            raise LedgerError(f"run.json: the numbers of {site} aren't signed by {site}.")

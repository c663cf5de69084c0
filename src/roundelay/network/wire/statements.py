"""What a party signs: the numbers of a site, and the statement on a baton that leaves its hand."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from roundelay.data.survey import SPLITS, SiteSurvey
from roundelay.errors import RefusedError
from roundelay.files.canonical import canonical_json
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.parsing import (
    ArmLabel,
    Before,
    Count,
    Digest,
    Loss,
    ManyCount,
    Name,
    Part,
    RunName,
    Said,
    Seconds,
    Signature,
    parsed,
)
from roundelay.records.signatures import Public, signed_by, survey_statement
from roundelay.relay.receipt import Receipt


class Counts(Part):
    """By split."""

    train: Count
    validation: Count
    test: Count


class SurveyPart(Part):
    """A site's numbers. No split has slices without patients, or more with tumour than at all."""

    site: Name
    patients: Counts
    slices: Counts
    tumour_slices: Counts
    digest: Digest

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for split in SPLITS:
            patients, slices, tumour = (
                getattr(counts, split)
                for counts in (self.patients, self.slices, self.tumour_slices)
            )
            if tumour > slices or (slices and not patients):
                raise ValueError(f"the numbers of the {split} patients contradict each other")
        return self

    def survey(self) -> SiteSurvey:
        return SiteSurvey(**self.model_dump())


class SignedSurvey(Part):
    """A site's numbers, signed for one run of one study."""

    survey: SurveyPart
    signature: Signature


class ReceiptPart(Part):
    """What a site states about a visit."""

    stop: Count
    site: Name
    round: Count
    task: Literal["train", "recalibrate", "recalibrate_in_turn", "absent", "deferred"]
    received: Digest
    returned: Digest
    patients: Count
    slices: Count
    slice_visits: ManyCount
    steps: ManyCount
    loss: Loss | None
    seconds: Seconds
    sent_bytes: ManyCount
    returned_bytes: ManyCount
    machine: Said

    def receipt(self) -> Receipt:
        return Receipt(**self.model_dump())


class Statement(Part):
    """Where in a study a baton comes from, and what it is. `leg` -1: the start; `cohort` is the
    digest of the numbers by which its signer laid the itinerary."""

    run: RunName
    proposal: Digest
    cohort: Digest
    arm: ArmLabel
    leg: Before
    returned: Digest
    sealed: Digest | Literal[""]
    receipt: ReceiptPart | None


class Proof(Part):
    """A statement, who made it, and the signature."""

    statement: Statement
    signer: Name
    signature: Signature


def sign_survey(survey: SiteSurvey, run: str, proposal: str, keys: Keys) -> dict[str, Any]:
    """A site's numbers as they travel, signed for one run of one study."""
    numbers = survey.as_json()
    statement = survey_statement(numbers, run, proposal)
    return {"survey": numbers, "signature": keys.sign(canonical_json(statement))}


def check_survey(
    signed: SignedSurvey, site: str, public: Public, run: str, proposal: str
) -> SiteSurvey:
    """The numbers. Raises RefusedError unless `site` signed them for this run of this study."""
    survey = signed.survey.survey()
    statement = survey_statement(survey.as_json(), run, proposal)
    if survey.site != site or not signed_by(public, canonical_json(statement), signed.signature):
        raise RefusedError(f"The numbers of {site} aren't signed by {site} for this run.")
    return survey


def travelling_digest(head: Mapping[str, Any]) -> str:
    """The digest of the bytes that travel with a request, as the proof in its head states it; empty
    where it has none."""
    stated = head["proof"]["statement"] if "proof" in head else {}
    return str(stated.get("sealed") or stated.get("returned") or "")


def parsed_proof(value: Any) -> Proof:
    """The statement of a baton's last holder, without those on stops that came before it.

    Raises RefusedError for anything else.
    """
    if not isinstance(value, Mapping):
        raise RefusedError("The baton comes without the statement of its last holder.")
    own = {key: one for key, one in value.items() if key in Proof.model_fields}
    return parsed(Proof, own, "The statement on the baton")

"""Every claim on one arm of a run."""

from functools import partial
from pathlib import Path

from roundelay.errors import LedgerError
from roundelay.plan.itinerary import Leg
from roundelay.plan.itinerary import digest as itinerary_digest
from roundelay.plan.keeping import kept, kept_always
from roundelay.records.arm_checks import (
    check_batons,
    check_handovers,
    check_merged,
    check_nobody_was_away,
    check_patients,
    check_visits,
    check_who_was_away,
)
from roundelay.records.claims import CantBeChecked, Claim, tried
from roundelay.records.end_checks import (
    check_choice,
    check_chosen_row,
    check_closing,
    check_curve,
    check_model,
    check_no_leg_is_missing,
    check_scores,
    check_validations,
)
from roundelay.records.evidence import ArmEvidence, RunEvidence
from roundelay.records.threshold_checks import check_thresholds
from roundelay.records.thresholds import THRESHOLDS
from roundelay.relay.chain import Chain, read_chain
from roundelay.study.sections import PARALLEL


def claims_on_ledger(arm: ArmEvidence) -> list[Claim]:
    """What its ledger, plan, batons and last line show."""
    return [
        tried(arm.label, text, partial(check, arm))
        for text, check in (
            ("every line follows from the one before it", _chain),
            ("its ledger is of this arm, study and cohort", _of_this_arm),
            ("its itinerary is the plan that the ledger began with", _plan),
            ("every visit is one that was planned, with its patients, slices and steps", _visits),
            ("every site began with what the one before it handed over", _handovers),
            ("the batons that must be kept are there, and none was altered", _batons),
            ("the ledger's last line names the arm's files, and none was altered", check_closing),
            ("no leg is missing at the end", check_no_leg_is_missing),
        )
    ]


def _chain(arm: ArmEvidence) -> object:
    return arm.chain


def _ledger(arm: ArmEvidence) -> Path:
    return arm.place / "ledger.jsonl"


def _of_this_arm(arm: ArmEvidence) -> None:
    first, record = arm.known_chain.lines[0], arm.run.record
    wanted = {"arm": arm.label, "study": record.get("study"), "cohort": record.get("cohort")}
    for key, value in wanted.items():
        if first[key] != value:
            raise LedgerError(f"{_ledger(arm)} began with another {key} than run.json names.")


def _plan(arm: ArmEvidence) -> None:
    if arm.known_chain.lines[0]["itinerary"] != itinerary_digest(arm.legs):
        raise LedgerError(
            f"{arm.place / 'itinerary.json'} is not the plan that {_ledger(arm)} began with."
        )


def _visited_chain(arm: ArmEvidence) -> Chain:
    """The ledger. Raises CantBeChecked where no visit stands in it: of none all would be true."""
    chain = arm.known_chain
    if not chain.legs and not arm.done:
        raise CantBeChecked("no visit is finished yet")
    return chain


def _visits(arm: ArmEvidence) -> None:
    chain = _visited_chain(arm)
    check_visits(_ledger(arm), chain, arm.known_legs)
    if arm.run.network is None:
        check_nobody_was_away(_ledger(arm), chain)
    else:
        abreast = arm.known_legs[0].stops[0].arm in PARALLEL
        rule = str(arm.run.network.get("absent"))
        check_who_was_away(_ledger(arm), chain, rule, abreast=abreast)
    check_patients(_ledger(arm), chain, arm.run.known_surveys)


def _handovers(arm: ArmEvidence) -> None:
    check_handovers(_ledger(arm), _visited_chain(arm), arm.known_legs)


def _batons(arm: ArmEvidence) -> None:
    chain = arm.known_chain
    always = kept_always(arm.run.known_study, arm.known_legs)
    try:
        check_batons(arm.place, chain, kept(always, len(chain.legs)), done=arm.done)
    except LedgerError as error:
        if read_chain(_ledger(arm)).head != chain.head:
            raise CantBeChecked("the arm went on while it was looked at") from error
        raise


def _merged(arm: ArmEvidence) -> None:
    check_merged(arm.place, arm.known_chain, arm.known_legs)


def _from_images(_: ArmEvidence) -> None:
    raise CantBeChecked("that needs the images, which stay at their sites")


def _one_rows(arm: ArmEvidence) -> None:
    whole = sorted({s.site for s in arm.known_scores if s.patients != 1})
    if not whole:
        raise CantBeChecked("no hospital gave one row: each patient's scores are here")
    raise CantBeChecked(f"{', '.join(whole)} gave one row for all, its patients' stay there")


def claims_on_end(arm: ArmEvidence) -> list[Claim]:
    """What its model, choice and scores show."""
    thresholds = [
        ("the thresholds are those that the validation patients choose", check_thresholds)
    ]
    one_rows = [("each Dice of a hospital that gave one row is that of its patients", _one_rows)]
    several = [("what several sites returned was merged as the study says", _merged)]
    return [
        tried(arm.label, text, partial(check, arm))
        for text, check in (
            *several * any(leg.task == "recalibrate" or len(leg.stops) > 1 for leg in _legs(arm)),
            ("the hand-over whose model is taken is the one that the study's rule chooses",
             check_choice),
            ("the model is the one of that hand-over", check_model),
            ("validation.json has the patients and hand-overs that it must have",
             check_validations),
            ("its row of that hand-over is what the patients' scores come to", check_chosen_row),
            *thresholds * _chooses_threshold(arm),
            ("every patient is scored, and each patient's Dice is that of counted pixels",
             check_scores),
            ("curve.csv holds what the receipts state", check_curve),
            *one_rows * (arm.run.network is not None),
            ("the counted pixels are those of model and images", _from_images),
        )
    ]  # fmt: skip


def _chooses_threshold(arm: ArmEvidence) -> bool:
    """Whether there is a choice of thresholds to look at, or ought to be."""
    try:
        asked = arm.run.study.evaluation.chooses_threshold
    except (CantBeChecked, LedgerError):
        asked = False
    return asked or (arm.place / THRESHOLDS).exists()


def _legs(arm: ArmEvidence) -> tuple[Leg, ...]:
    try:
        return arm.legs
    except LedgerError:
        return ()


def arm_problems(out: Path, label: str) -> list[str]:
    """What of an arm's ledger, plan, batons and last line failed; empty where nothing did."""
    arm = RunEvidence(out).arm(label)
    return [one.why for one in claims_on_ledger(arm) if one.outcome == "failed"]

"""Run one arm: relay, choice of a model, scores."""

from pathlib import Path

from roundelay.data.survey import TEST, VALIDATION
from roundelay.errors import LedgerError
from roundelay.files.writing import write_bytes
from roundelay.learning.model_file import write_model
from roundelay.learning.model_header import model_metadata
from roundelay.plan.itinerary import Leg
from roundelay.records.arm import write_curve, write_scores
from roundelay.records.closing import all_written, close_arm
from roundelay.records.layout import MODEL, SCORES, SEALED_MODEL, begin_arm, is_finished
from roundelay.records.thresholds import write_thresholds
from roundelay.relay.aggregation import final_model, goes_home
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Courier, Scoring
from roundelay.relay.ledger import Ledger
from roundelay.relay.loop import relay
from roundelay.report.refresh import Refresh
from roundelay.running.events import ArmBegun, ArmDone, OnEvent, Validated, Visited, Working
from roundelay.running.run_plan import ArmPlan
from roundelay.running.validation import ValidationMatrix


def run_arm(
    plan: ArmPlan, out: Path, courier: Courier, refresh: Refresh, on_event: OnEvent
) -> None:
    """Train an arm from where its ledger stands, then score its model; nothing where it is done.

    Raises LedgerError for a ledger of something else, or cut after the arm was done.
    """
    place = begin_arm(out, plan.arm)
    ledger = Ledger(place, plan.header, keep=plan.keep)
    finished = _is_done(plan, place, ledger)
    on_event(ArmBegun(plan.arm, _steps_done(plan, ledger), finished))
    if not finished:
        chosen, baton = _train(plan, place, courier, ledger, refresh, on_event)
        thresholds = _thresholds(plan, place, courier, baton)
        _write_model(plan, place, courier.opened(baton), thresholds)
        on_event(Working(_scoring(plan)))
        scores = [
            score
            for split in (VALIDATION, TEST)
            for score in courier.evaluate(
                goes_home(baton),
                plan.scored_at(split),
                Scoring(plan.arm.label, chosen, split, thresholds),
            )
        ]
        write_curve(place, ledger.receipts)
        write_scores(place, scores, chosen_leg=chosen)
    if not is_finished(out):  # one of an earlier version stays as it is
        close_arm(place, ledger)
    on_event(ArmDone(plan.arm))


def _train(
    plan: ArmPlan,
    place: Path,
    courier: Courier,
    ledger: Ledger,
    refresh: Refresh,
    on_event: OnEvent,
) -> tuple[int, Baton]:
    """The hand-over whose model is taken, and its baton."""
    arm, evaluation = plan.arm, plan.study.evaluation
    matrix = ValidationMatrix(place, arm, evaluation, courier, plan.validated)
    matrix.catch_up(arm, ledger)
    for receipt in ledger.receipts:
        on_event(Visited(arm.label, receipt, earlier=True))
    for row in matrix.rows:
        on_event(Validated(arm.label, row, earlier=True))

    def after_leg(number: int, leg: Leg, baton: Baton) -> None:
        for receipt in ledger.last_receipts:
            on_event(Visited(arm.label, receipt))
        if found := matrix.after_leg(number, leg, baton):
            on_event(Validated(arm.label, found))
        refresh.after_leg(arm, number)

    last = relay(plan.start, arm, courier, ledger, after_leg)
    if not plan.chooses:
        return len(arm.legs) - 1, last
    chosen = matrix.best_leg(arm, evaluation.choose)
    return chosen, ledger.baton_of(chosen)


def _scoring(plan: ArmPlan) -> str:
    count = sum(
        plan.surveys[site].patients[split]
        for split in (VALIDATION, TEST)
        for site in plan.scored_at(split)
    )
    return f"{plan.arm.label}: trained; its model is scored on {count} patients."


def _steps_done(plan: ArmPlan, ledger: Ledger) -> int:
    return sum(stop.steps for leg in ledger.legs_run for stop in plan.arm.legs[leg].stops)


def _is_done(plan: ArmPlan, place: Path, ledger: Ledger) -> bool:
    if not (place / SCORES).exists() or (ledger.closing is None and not all_written(place)):
        return False
    if ledger.legs_done < len(plan.arm.legs):
        raise LedgerError(
            f"{ledger.path} ends after {ledger.legs_done} of {len(plan.arm.legs)} legs, but"
            f" {plan.arm.label} was finished: lines were cut. Restore the ledger, or begin again"
            " with another --out."
        )
    return True


def _thresholds(plan: ArmPlan, place: Path, courier: Courier, baton: Baton) -> tuple[float, ...]:
    """Those of the model's regions, chosen by validation patients; none where the study gives
    one."""
    if not plan.study.evaluation.chooses_threshold:
        return ()
    return write_thresholds(
        place, courier.threshold_dices(goes_home(baton), plan.validated)
    ).by_region


def _write_model(plan: ArmPlan, place: Path, baton: Baton, thresholds: tuple[float, ...]) -> None:
    if baton.sealed:  # for the sites alone: each keeps what it could open
        write_bytes(place / SEALED_MODEL, baton.data)
    else:
        metadata = model_metadata(plan.study, thresholds, plan.weights, synthetic=plan.synthetic)
        write_model(place / MODEL, final_model(baton), metadata)

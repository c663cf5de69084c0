"""Run a study: open the cohort, lay the arms, call the relay, write the run folder."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from roundelay.couriers import open_courier
from roundelay.data.survey import TEST, VALIDATION, SiteSurvey, cohort_digest
from roundelay.errors import LedgerError
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import summarize
from roundelay.files.writing import write_bytes
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import write_model
from roundelay.learning.process import computing
from roundelay.plan.arms import Arm, lay
from roundelay.plan.cost import check_room, planned_bytes
from roundelay.plan.exposure import weak_places
from roundelay.plan.itinerary import Leg
from roundelay.plan.itinerary import digest as itinerary_digest
from roundelay.records.arm import read_arm, write_curve, write_patients, write_scores, write_summary
from roundelay.records.contents import read_run
from roundelay.records.layout import (
    MODEL,
    SCORES,
    SEALED_MODEL,
    begin_arm,
    begin_run,
    locked,
    open_run,
)
from roundelay.records.traffic import passed_bytes
from roundelay.records.verification import check_summary
from roundelay.relay.aggregation import final_model, goes_home
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Courier
from roundelay.relay.ledger import Header, Ledger
from roundelay.relay.loop import relay
from roundelay.report.page import judgement, write_report
from roundelay.report.refresh import Refresh
from roundelay.running.events import ArmBegun, ArmDone, Event, OnEvent, Planned
from roundelay.running.pictures import SAMPLES, write_samples
from roundelay.running.starting import machine_for, start_baton
from roundelay.running.validation import ValidationMatrix
from roundelay.study.sections import RELAYS
from roundelay.study.study import Study

CourierOf = Callable[..., Courier]
"""Opens a courier: ``courier_of(study, home=, machine=, on_step=)``."""


def _ignore(_: Event) -> None:
    """Nobody watches."""


def run_study(
    study: Study,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    on_event: OnEvent = _ignore,
    courier_of: CourierOf = open_courier,
) -> dict[str, Any]:
    """Run all arms of a study into the folder `out` and return what summary.json holds.

    With `resume`, go on after the last finished visit: the same final bytes as a run that was
    never stopped. `courier_of` opens the courier. Raises UserError before anything is
    written where the user can mend it, and SiteError where a site failed. Threads and deterministic
    mode of the process are as found afterwards.
    """
    with computing(study.courier.threads, deterministic=study.recipe.deterministic):
        return _run(study, out, resume, device, on_event, courier_of)


def _run(
    study: Study, out: Path, resume: bool, device: str, on_event: OnEvent, courier_of: CourierOf
) -> dict[str, Any]:
    record = open_run(study, out, resume=resume)
    machine = machine_for(study, record, device)
    courier = courier_of(study, home=out / "sites", machine=machine, on_step=on_event)
    try:
        surveys = courier.survey()
        arms = lay(study, surveys)
        starts = {seed: start_baton(study, seed) for seed in study.seeds}
        check_room(out, arms, len(starts[study.seeds[0]].data), keep_all=study.keep == "all")
        with locked(out):
            facts = _facts(study, surveys, machine, arms) | dict(courier.facts())
            begin_run(study, out, record, facts)
            on_event(Planned(tuple(arms), surveys, tuple(weak_places(arms, surveys))))
            refresh = Refresh(out)
            for arm in arms:
                _run_arm(study, arm, starts[arm.seed], courier, surveys, out, on_event, refresh)
            # Between hospitals the images of the pictures are elsewhere.
            pictures = study.evaluation.samples and not courier.facts()
            return _finish(study, arms, out, machine if pictures else None)
    finally:
        courier.close()


def _facts(
    study: Study, surveys: Mapping[str, SiteSurvey], machine: Machine, arms: Sequence[Arm]
) -> dict[str, Any]:
    return {
        "roundelay": version("roundelay"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "study": study.digest,
        "cohort": cohort_digest(surveys),
        "synthetic": study.data.format == "phantom",
        "machine": machine.as_json(),
        "threads": torch.get_num_threads(),
        "arms": [arm.label for arm in arms],
        "sites": [survey.as_json() for survey in surveys.values()],
    }


def _run_arm(
    study: Study,
    arm: Arm,
    start: Baton,
    courier: Courier,
    surveys: Mapping[str, SiteSurvey],
    out: Path,
    on_event: OnEvent,
    refresh: Refresh,
) -> None:
    place = begin_arm(out, arm)
    header = Header(
        arm.label, study.digest, itinerary_digest(arm.legs), cohort_digest(surveys), start.digest
    )
    choosing = study.evaluation.choose != "last"
    keep = None if study.keep == "all" else frozenset(arm.round_ends if choosing else ())
    ledger = Ledger(place, header, keep=keep)
    done = sum(stop.steps for leg in ledger.legs_run for stop in arm.legs[leg].stops)
    on_event(ArmBegun(arm, done))
    if (place / SCORES).exists() and ledger.legs_done < len(arm.legs):
        raise LedgerError(
            f"{ledger.path} ends after {ledger.legs_done} of {len(arm.legs)} legs, but {arm.label}"
            " was finished: lines were cut. Restore the ledger, or begin again with another --out."
        )
    if not (place / SCORES).exists():
        validated = [site for site, survey in surveys.items() if survey.patients[VALIDATION]]
        validations = ValidationMatrix(place, arm, study.evaluation, courier, validated)
        validations.catch_up(arm, ledger)

        def after_leg(number: int, leg: Leg, baton: Baton) -> None:
            validations.after_leg(number, leg, baton)
            refresh.after_leg(arm, number)

        last = relay(start, arm, courier, ledger, after_leg)
        chosen, baton = len(arm.legs) - 1, last
        if choosing:
            chosen = validations.best_leg(arm, study.evaluation.choose)
            baton = ledger.baton_of(chosen)
        _write_model(study, place, courier.opened(baton))
        scores = [
            score
            for split in (VALIDATION, TEST)
            for score in courier.evaluate(goes_home(baton), _judges(surveys, split), split)
        ]
        write_curve(place, ledger.receipts)
        write_scores(place, scores, chosen_leg=chosen)
    on_event(ArmDone(arm))


def _judges(surveys: Mapping[str, SiteSurvey], split: str) -> tuple[str, ...]:
    """Sites with patients of this split. The final test goes to all."""
    return tuple(s for s, survey in surveys.items() if split == TEST or survey.patients[split])


def _write_model(study: Study, place: Path, baton: Baton) -> None:
    if baton.sealed:  # for the sites alone: each keeps what it could open
        write_bytes(place / SEALED_MODEL, baton.data)
    else:
        write_model(place / MODEL, final_model(baton), study)


def _finish(
    study: Study, arms: Sequence[Arm], out: Path, machine: Machine | None
) -> dict[str, Any]:
    rows = [_row(study, arm, out) for arm in arms]
    shown = next((arm for arm in arms if arm.name in RELAYS), arms[0])
    scores = [s for s in read_arm(out / "arms" / shown.label)["scores"] if s.split == TEST]
    if machine is not None and scores and not (out / SAMPLES).exists():
        write_samples(study, out, shown.label, scores, machine)
    summary = {
        "name": study.name,
        "study": study.digest,
        "synthetic": study.data.format == "phantom",
        "arms": rows,
    }
    check_summary(out, rows)
    write_patients(out, arms)
    summary |= judgement(read_run(out))
    write_summary(out, summary)
    write_report(out)
    return summary


def _row(study: Study, arm: Arm, out: Path) -> dict[str, Any]:
    place = out / "arms" / arm.label
    facts = read_arm(place)
    receipts = facts["receipts"]
    return {
        "label": arm.label,
        "arm": arm.name,
        "seed": arm.seed,
        "site": arm.site,
        "order": arm.order,
        "slice_visits": arm.slice_visits,
        "legs": len(arm.legs),
        "chosen_leg": facts["chosen_leg"],
        "bytes_passed": passed_bytes(arm.name, receipts),
        "bytes_planned": planned_bytes(study, arm.name, arm.legs, receipts[0].sent_bytes),
        "seconds": round(sum(r.seconds for r in receipts), 3),
        "head": facts["head"],
        "model": facts["model"],
        "test": _summary([s for s in facts["scores"] if s.split == TEST]),
        "validation": _summary([s for s in facts["scores"] if s.split == VALIDATION]),
    }


def _summary(scores: Sequence[PatientScore]) -> dict[str, Any] | None:
    return summarize(scores).as_json() if scores else None

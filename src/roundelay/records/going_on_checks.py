"""The first weights of a run that goes on from another one, held against both; no torch."""

from pathlib import Path

from roundelay.errors import LedgerError
from roundelay.records.claims import CantBeChecked
from roundelay.records.evidence import RunEvidence
from roundelay.records.going_on import finished_run, run_before, study_of_more


def check_first_weights(run: RunEvidence) -> None:
    """Every arm begins with what run.json names, and the study names the same run."""
    before = run_before(run.record)
    wanted = run.known_study.model.goes_on_from
    if (before.head if before else "") != wanted:
        raise LedgerError(
            f"{run.out / 'run.json'} and the study don't name the same run to go on from."
        )
    if before is None:
        return
    for label in run.record["arms"]:
        arm = run.arm(label)
        if label not in before.arms:
            raise LedgerError(f"{run.out / 'run.json'} doesn't say what {label} goes on from.")
        if arm.there and arm.known_chain.lines[0]["start"] != before.arms[label].start:
            raise LedgerError(f"{label} began with other weights than run.json names.")


def check_run_before(run: RunEvidence, folder: Path | None, faults: list[str]) -> None:
    """The run that it goes on from is the one in `folder`, whose own claims failed at `faults`."""
    if folder is None:
        raise CantBeChecked(
            f"that needs the run itself: roundelay ledger verify {run.out} --from THAT_RUN"
        )
    if (before := run_before(run.record)) is None:
        raise LedgerError(f"{run.out} goes on from no run: it began anew.")
    if faults:
        raise LedgerError(f"{folder} doesn't verify: {faults[0]}")
    going_on = finished_run(folder)
    found = going_on.before
    stated = before.model_copy(update={"folder": found.folder})  # it may be called otherwise by now
    if stated != found:
        raise LedgerError(
            f"{run.out} doesn't go on from {folder}, or that was changed: its head is"
            f" {found.head[:12]}; noted was {before.head[:12]}, of a folder called {before.folder}."
        )
    study = run.known_study
    if study_of_more(going_on, study.recipe.rounds).digest != study.digest:
        raise LedgerError(
            f"{run.out} goes on from {folder} by another study: only the rounds may differ."
        )
    for key, what in (("cohort", "patients, images or splits"), ("arms", "arms")):
        if run.record[key] != going_on.record[key]:
            raise LedgerError(f"{run.out} has other {what} than {folder}.")

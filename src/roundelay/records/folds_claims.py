"""What `verify` says of a cross-validation: its folds together, and the files over them."""

from collections.abc import Sequence
from pathlib import Path

from roundelay.data.survey import TEST
from roundelay.data.tables import write_table
from roundelay.errors import LedgerError
from roundelay.records.claims import CantBeChecked
from roundelay.records.closing import refuse_strangers
from roundelay.records.evidence import RunEvidence
from roundelay.records.folds import fold_folder, read_folds
from roundelay.records.layout import FIGURES, PATIENTS, REPORT, SUMMARY
from roundelay.records.result_checks import differences_in_summary
from roundelay.records.resuming import RESUMED, SOFTWARE


def fold_number(run: RunEvidence) -> int | None:
    """The fold that tests in a run; None where its study has none, or can't be read."""
    try:
        return run.study.data.test_fold
    except Exception:  # a claim of its own says what is wrong with it
        return None


def check_folds(out: Path, runs: Sequence[RunEvidence]) -> None:
    """Each run is another fold of one study, lies where that fold does, and none is missing."""
    first = runs[0].known_study
    for run in runs:
        study = run.known_study
        if study.data.test_fold is None:
            raise LedgerError(f"{run.out} is no fold's run.")
        if study.of_fold(None).digest != first.of_fold(None).digest:
            raise LedgerError(f"{run.out} and {runs[0].out} are runs of different studies.")
        if run.out != fold_folder(out, study.data.test_fold or 0):
            raise LedgerError(f"{run.out} is the run of fold {study.data.test_fold}.")
    if len(runs) < (count := first.data.folds or 0):
        if (out / SUMMARY).exists():
            raise LedgerError(f"{len(runs)} of {count} folds are there: others were taken away.")
        raise CantBeChecked(f"{len(runs)} of {count} folds have begun")


def check_who_tests(runs: Sequence[RunEvidence]) -> None:
    """Every site has the same patients in every fold, and each of them tests once."""
    everyone = _patients(runs[0])
    if other := [run for run in runs if _patients(run) != everyone]:
        raise LedgerError(f"{other[0].out} and {runs[0].out} have other numbers of patients.")
    seen: dict[str, Path] = {}
    finished = [run for run in runs if run.finished]
    for run in finished:
        for score in run.arm(run.record["arms"][0]).known_scores:
            if score.split == TEST and (at := seen.setdefault(score.patient, run.out)) != run.out:
                raise LedgerError(f"{score.patient} tests in {at.name} and in {run.out.name}.")
    if len(finished) < (runs[0].known_study.data.folds or 0):
        raise CantBeChecked("not all folds are finished")
    tests = {site: sum(run.known_surveys[site].patients[TEST] for run in runs) for site in everyone}
    if tests != everyone or len(seen) != sum(everyone.values()):
        raise LedgerError("Some patients test in no fold.")


def _patients(run: RunEvidence) -> dict[str, int]:
    return {site: sum(one.patients.values()) for site, one in run.known_surveys.items()}


def check_folds_alike(runs: Sequence[RunEvidence]) -> None:
    """Software, machine and threads are noted alike in all folds."""
    first = runs[0].record
    for run in runs:
        for key in (*SOFTWARE, "machine", "threads", RESUMED):
            if run.record.get(key) != first.get(key):
                what = "was resumed otherwise" if key == RESUMED else f"has another {key}"
                raise CantBeChecked(f"{run.out.name} {what} than {runs[0].out.name}")


def check_folds_end(out: Path, runs: Sequence[RunEvidence]) -> None:
    """The files over all folds are what the folds' runs give, and nothing else lies beside them."""
    found = read_folds(out, runs[0].known_study, verified=False)
    if not found.runs:
        raise CantBeChecked("no fold is finished")
    if not (out / SUMMARY).exists():
        if found.finished:
            raise CantBeChecked(
                "it isn't there, though all folds are finished: it was taken away, or is still to"
                " be written by --resume"
            )
        raise CantBeChecked("not all folds are finished")
    refuse_strangers(out, {SUMMARY, PATIENTS, REPORT, FIGURES, *(run.out.name for run in runs)})
    judgement = found.combined.judgement
    pairs = any(run.judges_pairs for run in runs)
    for where in differences_in_summary(out / SUMMARY, found.as_json(), judgement, pairs=pairs):
        raise LedgerError(f"{out / SUMMARY} says otherwise at {'.'.join(where)} than its folds.")
    with (out / PATIENTS).open(encoding="utf-8", newline="") as file:
        if file.read() != write_table(*found.rows()):
            raise LedgerError(f"{out / PATIENTS} does not hold the rows that the folds give.")

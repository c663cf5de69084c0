"""`roundelay.run` and its like for several folds and more rounds: the main job from Python."""

from pathlib import Path

from roundelay.errors import LedgerError
from roundelay.records.folds import CrossValidation
from roundelay.records.going_on import finished_run, study_of_more
from roundelay.records.result import RunResult
from roundelay.records.verification import verify_run
from roundelay.running.events import OnEvent
from roundelay.running.folds import nobody_counts, run_all_folds
from roundelay.running.run import nobody_watches, run_study
from roundelay.study.file import read_study
from roundelay.study.study import Study


def run(
    study: Study | Path | str,
    out: Path | str,
    *,
    data: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    on_event: OnEvent = nobody_watches,
) -> RunResult:
    """Run all arms of a study, or of a study file or preset by name, into the folder `out`.

    `data` takes the place of ``data.root`` where a file or preset is named; `device` is ``auto``,
    ``cpu``, ``cuda`` or ``mps``. With `resume`, go on
    after the last finished visit. `on_event` is told what happens (`roundelay.running.events`).
    Raises UserError before anything is written where you can mend it, SiteError where a site
    failed; both are in `roundelay.errors`. Threads and determinism are as the study says while it
    runs, and as they were afterwards.
    """
    if not isinstance(study, Study):
        study = read_study(study, data=None if data is None else Path(data))
    return run_study(study, Path(out), resume=resume, device=device, on_event=on_event)


def run_more_rounds(
    before: Path | str,
    out: Path | str,
    *,
    rounds: int,
    data: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    on_event: OnEvent = nobody_watches,
) -> RunResult:
    """Go on from every model of a finished run, for so many rounds of a schedule of their own, into
    the folder `out`; the run folder `before` stays as it is.

    The study is that of the run, `data` in the place of its ``data.root``; all else is as for
    `run`. Raises LedgerError where the run is not what it was when it was written.
    """
    going_on = finished_run(Path(before))
    _refuse_changed(going_on.folder)
    study = study_of_more(going_on, rounds)
    if data is not None:
        study = study.model_copy(
            update={"data": study.data.model_copy(update={"root": str(Path(data).resolve())})}
        )
    return run_study(
        study, Path(out), resume=resume, device=device, on_event=on_event, going_on=going_on
    )


def _refuse_changed(folder: Path) -> None:
    try:
        verify_run(folder)
    except LedgerError as error:
        raise LedgerError(
            f"{folder} is not what it was when it was written: nothing goes on from it.\n{error}"
        ) from error


def run_folds(
    study: Study | Path | str,
    out: Path | str,
    *,
    folds: int | None = None,
    data: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    on_event: OnEvent = nobody_watches,
) -> CrossValidation:
    """Run all folds of a study, each into a folder ``fold-1``, ... of `out`: every patient tests
    once.

    `folds` takes the place of ``data.folds`` where a file or preset is named; all else is as for
    `run`.
    """
    if not isinstance(study, Study):
        place = None if data is None else Path(data)
        study = read_study(study, data=place, folds=folds)
    return run_all_folds(
        study, Path(out), resume=resume, device=device, on_event=on_event, on_fold=nobody_counts
    )

"""The command that goes on with what was stopped, as far as a run folder tells it."""

import shlex
from pathlib import Path

from roundelay.records.contents import Run
from roundelay.records.folds import CrossValidation, fold_folder
from roundelay.records.going_on import run_before
from roundelay.records.layout import STUDY
from roundelay.study.study import Study


def resumes_run(run: Run) -> str:
    """Of one run: its own folder has its study. Where it goes on from another one, or went between
    hospitals, what it was begun with is named in the place of its path."""
    if "network" in run.record:
        return _said(f"submit STUDY --kit KIT --out {_place(run.folder)}", run.study)
    if (before := run_before(run.record)) is not None:
        more = f"--more-rounds {run.study.recipe.rounds} --out {_place(run.folder)}"
        return _said(f"run {shlex.quote(before.folder)} {more}")
    return _said(f"run {_place(run.folder / STUDY)} --out {_place(run.folder)}")


def resumes_folds(found: CrossValidation) -> str:
    """Of all folds: the first one's study is that of all, but for the fold that tests."""
    study, out = fold_folder(found.folder, 1) / STUDY, _place(found.folder)
    return _said(f"run {_place(study)} --folds {found.count} --out {out}")


def resumes_left_out(study: Study, out: Path) -> str:
    """Of all hospitals left out in turn: no file there is the study of all of them."""
    return _said(f"run STUDY --out {_place(out)} --leave-one-site-out", study)


def _place(path: Path) -> str:
    return shlex.quote(str(path))


def _said(command: str, study: Study | None = None) -> str:
    given = f" (STUDY: {study.name}, its file or preset)" if study else ""
    return f"Or stopped:  roundelay {command} --resume  goes on{given}."

"""Cross-validation: a run for each fold, and one page over all patients."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from roundelay.records.folds import CrossValidation, fold_folder, read_folds, write_folds
from roundelay.records.layout import RECORD, is_begun, read_record
from roundelay.report.folds import lay_folds
from roundelay.report.page import write_page
from roundelay.running.events import Event, Noticed, OnEvent, Planned
from roundelay.running.fold_plan import prepared_folds
from roundelay.running.run import nothing_to_resume, run_study
from roundelay.study.study import Study

OnFold = Callable[[int, int], None]


def nobody_counts(_: int, __: int) -> None:
    """Folds are not told."""


def run_all_folds(
    study: Study,
    out: Path,
    *,
    resume: bool,
    on_event: OnEvent,
    on_fold: OnFold,
    device: str = "auto",
) -> CrossValidation:
    """Run the study once for each of its folds, each into a folder ``fold-1``, ... of `out`.

    `on_fold` is told each fold's number and how many there are. Raises UserError before anything is
    written where the user can mend it, and SiteError where a site failed; with `resume`, finished
    folds stay as they are. All folds compute on the device and in the numbers of the first one.
    """
    study = study.of_fold(None)
    if resume and not is_begun(out):
        on_event(Noticed(nothing_to_resume(out)))
    with prepared_folds(study, out, resume=resume, device=device) as plan:
        for text in plan.small_sites:
            on_event(Noticed(text))
    told = _once(on_event)
    for one in plan.folds:
        on_fold(one.fold, len(plan.folds))
        place, first = fold_folder(out, one.fold), fold_folder(out, 1)
        run_study(
            one.study, place, resume=resume and is_begun(place), device=device, on_event=told,
            alike=read_record(first) if (first / RECORD).exists() else None,
        )  # fmt: skip
        _draw(read_folds(out, study), on_event)
    found = read_folds(out, study)
    write_folds(found)
    return found


def _once(on_event: OnEvent) -> OnEvent:
    """What every fold says again of the same patients is said once."""
    said: set[str] = set()

    def tell(event: Event) -> None:
        if isinstance(event, Planned):
            fresh = tuple(text for text in event.notices if text not in said)
            said.update(fresh)
            event = replace(event, notices=fresh)
        on_event(event)

    return tell


def _draw(found: CrossValidation, on_event: OnEvent) -> None:
    """The page over the folds so far; one that can't be drawn is said and stops nothing."""
    try:
        write_page(lay_folds(found), found.folder)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        on_event(Noticed(f"The page over all folds could not be drawn ({why})."))

"""``roundelay run`` beside one study in one run: hospitals left out in turn, folds, more rounds."""

from pathlib import Path

from roundelay.cli import results, show
from roundelay.cli.progress import Watch
from roundelay.study.study import Study


def leave_out(study: Study, out: Path, *, resume: bool, device: str, json_: bool) -> None:
    """A run for each site, with that site left out of training."""
    from roundelay.running.leave_one_site_out import run_leaving_out

    with Watch(quiet=json_) as watch:
        summary = run_leaving_out(
            study,
            out,
            resume=resume,
            device=device,
            on_event=watch.event,
            on_site=lambda site, n, of: watch.say(f"\n{site} left out ({n} of {of})"),
        )
    with show.finished_in(out):
        if json_:
            show.json_line(summary)
        else:
            results.left_out(summary)
            show.line(f"\nThe report:  {out / 'report.html'}")


def go_on(
    before: Path,
    out: Path,
    rounds: int,
    *,
    data: Path | None,
    resume: bool,
    device: str,
    json_: bool,
) -> None:
    """More rounds from the models of a finished run."""
    from roundelay.running.api import run_more_rounds

    with Watch(quiet=json_) as watch:
        result = run_more_rounds(
            before, out, rounds=rounds, data=data, resume=resume, device=device,
            on_event=watch.event,
        )  # fmt: skip
    results.ended(result.as_json(), out, json_=json_)
    if not json_:
        show.line(f"Both runs together:  roundelay ledger verify {out} --from {before}")


def cross_validate(study: Study, out: Path, *, resume: bool, device: str, json_: bool) -> None:
    """A run for each fold."""
    from roundelay.running.folds import run_all_folds

    with Watch(quiet=json_) as watch:
        found = run_all_folds(
            study,
            out,
            resume=resume,
            device=device,
            on_event=watch.event,
            on_fold=lambda fold, of: watch.say(f"\nFold {fold} of {of}"),
        )
    with show.finished_in(out):
        if json_:
            show.json_line(found.as_json())
            return
        results.folds(found.as_json(), found.count)
        show.line(
            "The folds' models are for scoring. For one to use, run the study without folds, all"
            " patients training."
        )
        show.line(f"\nThe report:  {out / 'report.html'}")
        show.line(f"Check all folds:  roundelay ledger verify {out}")

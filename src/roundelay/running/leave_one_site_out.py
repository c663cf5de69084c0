"""Leave every hospital out of training in turn: a run for each, and one page over all of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundelay.data.survey import TEST
from roundelay.errors import RunFolderError, StudyError, UserError
from roundelay.files.places import refuse_place
from roundelay.files.writing import write_json
from roundelay.records.contents import read_run
from roundelay.records.layout import RECORD, SUMMARY, is_begun
from roundelay.records.left_out import combine_left_out, summarize_left_out
from roundelay.records.several import LEFT_OUT, refuse_other_kind
from roundelay.report.left_out import lay_left_out
from roundelay.report.page import write_page
from roundelay.running.events import Noticed, OnEvent
from roundelay.running.prepare import prepared
from roundelay.running.run import nobody_watches, nothing_to_resume, run_study
from roundelay.running.run_plan import lay_arms
from roundelay.study.names import file_name
from roundelay.study.study import Study

OnSite = Callable[[str, int, int], None]


def run_leaving_out(
    study: Study,
    out: Path,
    *,
    resume: bool,
    on_event: OnEvent,
    on_site: OnSite,
    device: str = "auto",
) -> dict[str, Any]:
    """Run the study once for each site, with that site left out of training.

    Each run goes into a folder of `out` that is named after the site (`study.names.file_name`).

    `on_site` is told each site, its number and how many there are. Returns what ``summary.json``
    of `out` holds. Raises UserError before anything is written where the user can mend it, and
    SiteError where a site failed; with `resume`, finished sites stay as they are.
    """
    if study.evaluation.leave_out is not None:
        raise StudyError(
            f"evaluation.leave_out = {study.evaluation.leave_out!r} leaves out one site, but all"
            " are to be left out in turn. Take the key out of the study, or the option away."
        )
    if study.data.folds:
        raise StudyError(
            f"data.folds = {study.data.folds} makes every patient test once, at a hospital that"
            " trains; --leave-one-site-out keeps whole hospitals from training. Run them one after"
            " the other, without folds here."
        )
    refuse_place(out, images=study.data.root)
    refuse_other_kind(out, LEFT_OUT)
    if resume and not is_begun(out):
        on_event(Noticed(nothing_to_resume(out)))
    if not resume and out.exists() and any(out.iterdir()):
        raise RunFolderError(
            f"{out} isn't empty. Go on with it by --resume, or choose another --out."
        )
    sites = _checked_sites(study, out, device)
    summary: dict[str, Any] = {}
    for number, site in enumerate(sites, start=1):
        on_site(site, number, len(sites))
        place = out / file_name(site)
        run_study(
            _without(study, site), place, resume=resume and is_begun(place), device=device,
            on_event=on_event,
        )  # fmt: skip
        summary = _take_together(out, sites, on_event)
    write_json(out / SUMMARY, summary)
    return summary


def _without(study: Study, site: str) -> Study:
    evaluation = study.evaluation.model_copy(update={"leave_out": site})
    return study.model_copy(update={"evaluation": evaluation})


def _checked_sites(study: Study, out: Path, device: str) -> list[str]:
    """The sites. Raises UserError where a run without one of them would be refused: that is not to
    be found out after the runs before it were trained."""
    with prepared(study, out / ".none", device=device, on_step=nobody_watches) as ready:
        surveys = ready.plan.surveys
    if len(surveys) < 2:
        (only,) = surveys
        raise StudyError(f"There is one site only ({only}): leaving it out leaves none.")
    for site, survey in surveys.items():
        testing = dict.fromkeys(survey.patients, 0) | {TEST: sum(survey.patients.values())}
        try:
            lay_arms(_without(study, site), {**surveys, site: replace(survey, patients=testing)})
        except UserError as error:
            raise type(error)(f"With {site} left out: {error}") from error
    return list(surveys)


def _take_together(out: Path, sites: Sequence[str], on_event: OnEvent) -> dict[str, Any]:
    """The page over the runs so far, and their figures as values; a page that can't be drawn is
    said and stops nothing."""
    places = {site: out / file_name(site) for site in sites}
    runs = {s: read_run(place) for s, place in places.items() if (place / RECORD).exists()}
    combined = combine_left_out(runs)
    try:
        write_page(lay_left_out(combined, runs, out), out)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        on_event(Noticed(f"The page over all hospitals could not be drawn ({why})."))
    return summarize_left_out(combined, runs)

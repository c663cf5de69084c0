"""Leave every hospital out of training in turn: a run for each, and one page over all of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from roundelay.errors import RunFolderError, StudyError
from roundelay.files.writing import write_json
from roundelay.records.contents import read_run
from roundelay.records.layout import RECORD, SUMMARY, is_begun
from roundelay.records.left_out import combine_left_out, summarize_left_out
from roundelay.report.left_out import lay_left_out
from roundelay.report.page import write_page
from roundelay.running.events import Noticed, OnEvent
from roundelay.running.run import run_study
from roundelay.site.cohort import open_sites
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
    """Run the study once for each site, into ``out/<site>``, with that site left out of training.

    `on_site` is told each site, its number and how many there are. Returns what ``summary.json``
    of `out` holds. Raises UserError before anything is written where the user can mend it, and
    SiteError where a site failed; with `resume`, finished sites stay as they are.
    """
    if study.evaluation.leave_out is not None:
        raise StudyError(
            f"evaluation.leave_out = {study.evaluation.leave_out!r} leaves out one site, but all"
            " are to be left out in turn. Take the key out of the study, or the option away."
        )
    sites = list(open_sites(study.data))
    if len(sites) < 2:
        raise StudyError(f"There is one site only ({sites[0]}): leaving it out leaves none.")
    if resume and not is_begun(out):
        raise RunFolderError(
            f"There is nothing to resume at {out}: no run was begun there. Leave --resume away."
        )
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(
            f"{out} isn't empty. Go on with it by --resume, or choose another --out."
        )
    summary: dict[str, Any] = {}
    for number, site in enumerate(sites, start=1):
        on_site(site, number, len(sites))
        evaluation = study.evaluation.model_copy(update={"leave_out": site})
        without_site = study.model_copy(update={"evaluation": evaluation})
        run_study(
            without_site, out / site, resume=resume and is_begun(out / site), device=device,
            on_event=on_event,
        )  # fmt: skip
        summary = _take_together(out, sites, on_event)
    write_json(out / SUMMARY, summary)
    return summary


def _take_together(out: Path, sites: Sequence[str], on_event: OnEvent) -> dict[str, Any]:
    """The page over the runs so far, and their figures as values; a page that can't be drawn is
    said and stops nothing."""
    runs = {site: read_run(out / site) for site in sites if (out / site / RECORD).exists()}
    combined = combine_left_out(runs)
    try:
        write_page(lay_left_out(combined, runs, sites), out)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        on_event(Noticed(f"The page over all hospitals could not be drawn ({why})."))
    return summarize_left_out(combined, runs)

"""The report of a run: one file that needs nothing else, and its figures as files."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from roundelay.files.places import refuse_place
from roundelay.files.writing import write_text
from roundelay.records.contents import Run, read_run
from roundelay.records.folds import read_folds, study_of_folds
from roundelay.records.layout import FIGURES, REPORT
from roundelay.records.left_out import combine_left_out, read_left_out
from roundelay.records.several import refuse_as_page
from roundelay.report import account, by_region, noticed, people, rounds, sections, thresholds
from roundelay.report.blocks import Figure, Page
from roundelay.report.drawing import on_page
from roundelay.report.folds import lay_folds
from roundelay.report.going_on import resumes_run
from roundelay.report.left_out import lay_left_out
from roundelay.report.sentences import answer, told_of_run_before
from roundelay.report.several import lay_side_by_side, read_contender
from roundelay.study.study import Study

OnNotice = Callable[[str], None]


def nobody_listens(_: str) -> None:
    """Notices are dropped: they stand on the page."""


def write_report(place: Path, out: Path | None = None, *, say: OnNotice = nobody_listens) -> Path:
    """Write ``report.html`` and ``figures/`` of a run, of all folds of a study, or of all hospitals
    left out in turn, finished or not; into its folder, or `out`.

    What of the run can't be read stands on the page, and is said. Raises RunFolderError where
    `place` holds no run.
    """
    if (study := study_of_folds(place)) is not None:
        found = read_folds(place, study)
        for problem in found.combined.problems if found.runs else ():
            say(problem)
        return write_page(lay_folds(found), _other_place(place, out, study))
    if runs := read_left_out(place):
        combined = combine_left_out(runs)
        for problem in combined.problems:
            say(problem)
        return write_page(
            lay_left_out(combined, runs, place), _other_place(place, out, combined.study)
        )
    run = read_run(place)
    for problem in run.problems:
        say(problem)
    return write_page(lay_page(run), _other_place(place, out, run.study))


def _other_place(place: Path, out: Path | None, study: Study) -> Path:
    """Where the page goes: its own folder, or `out`."""
    if out is None or out.resolve() == place.resolve():
        return place
    refuse_as_page(out, images=study.data.root)
    return out


def write_reports(places: Sequence[Path], out: Path, *, say: OnNotice = nobody_listens) -> Path:
    """Write one page over several runs of the same cohort into `out`, each one run, all folds of a
    study, or all hospitals left out in turn.

    What of them can't be read stands on the page, and is said. Raises RunFolderError where one is
    no run, or is of another cohort.
    """
    contenders = [read_contender(place) for place in places]
    for one in contenders:
        refuse_as_page(out, images=one.run.study.data.root)
    for one in contenders:
        for problem in one.run.problems:
            say(f"{one.run.folder}: {problem}")
    return write_page(lay_side_by_side(contenders), out)


def write_page(page: Page, out: Path) -> Path:
    """Write a page and its figures into a folder; return the page's path."""
    refuse_place(out)
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                drawn = block.svg.replace("<svg ", '<svg style="background:#fff" ', 1)
                write_text(out / FIGURES / f"{block.name}.svg", drawn)
    write_text(out / REPORT, render(page))
    return out / REPORT


def lay_page(run: Run) -> Page:
    """The page of one run."""
    parts = [
        sections.scores_section(run),
        by_region.regions_section(run),
        sections.itinerary_section(run),
        sections.curves_section(run),
        rounds.choice_section(run),
        sections.forgetting_section(run),
        people.patients_section(run),
        people.samples_section(run),
        people.fairness_section(run),
        account.bytes_section(run),
        account.protection_section(run),
        account.other_scores_section(run),
        thresholds.thresholds_section(run),
        noticed.noticed_section(run),
        account.provenance_section(run),
    ]
    return Page(
        title=f"{run.study.name}: {len(run.sites)} hospitals, one travelling model",
        answer=[*answer(run), *told_of_run_before(run)],
        sections=[part for part in parts if part.blocks],
        problems=run.problems,
        synthetic=run.synthetic,
        running="" if run.finished else _how_far(run),
    )


def _how_far(run: Run) -> str:
    done = [arm.label for arm in run.arms if arm.done]
    under_way = [
        f"{arm.label} has {arm.legs_done} of {len(arm.legs)} legs"
        for arm in run.arms
        if not arm.done
    ]
    left = len(run.record["arms"]) - len(run.arms)
    parts = [f"Done: {', '.join(done)}." if done else "No arm is done yet."]
    parts += [f"{'; '.join(under_way)}."] if under_way else []
    parts += [f"{left} more to begin."] if left else []
    return f"{' '.join(parts)} {resumes_run(run)}"


def render(page: Page) -> str:
    """The page as HTML. The same page gives the same bytes."""
    environment = Environment(
        loader=PackageLoader("roundelay", "report"),
        autoescape=select_autoescape(default_for_string=True, default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = _inline
    return environment.get_template("page.html.j2").render(page=page)


def _inline(figure: Figure) -> str:
    return on_page(figure.svg, label=escape(figure.text, quote=True), key=figure.name)

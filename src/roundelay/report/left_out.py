"""Every hospital left out of training in turn: how the model does where it has never been."""

from collections.abc import Mapping
from pathlib import Path

from roundelay.records.contents import Run
from roundelay.records.left_out import mean_at, still_to_come
from roundelay.report import figures
from roundelay.report.blocks import (
    Block,
    Cell,
    Figure,
    Page,
    Section,
    Table,
    Text,
)  # fmt: skip
from roundelay.report.comparisons import comparison_blocks, seeds_awaited
from roundelay.report.going_on import resumes_left_out
from roundelay.report.noticed import noticed_section
from roundelay.report.sentences import answer


def lay_left_out(combined: Run, runs: Mapping[str, Run], out: Path) -> Page:
    """The page: the answer over all hospitals, then each of them; `out` holds their runs."""
    rows = combined.judgement.methods
    blocks: list[Block] = [_by_site(combined, runs)] if rows else []
    if rows:
        blocks.append(
            Text(
                "Each patient was scored by the model that never visited their hospital; the last"
                " row takes all of them as one. A model of one hospital alone has no row: it is"
                " the hospital left out. Each hospital's folder holds a whole run with its own"
                " report.",
                soft=True,
            )
        )
    blocks += comparison_blocks(
        combined.judgement.comparisons,
        where=" where it has never been",
        awaited=seeds_awaited(combined),
    )
    if strips := figures.draw_patients(combined):
        blocks.append(
            Figure("left-out", strips, "Dice of every patient by the hospital that was left out"
                   " and by method, the mean over seeds; a bar at each hospital's mean.")
        )  # fmt: skip
    scores = [Section("scores", "Each hospital left out in turn", blocks)] if blocks else []
    noticed = noticed_section(combined)
    left = still_to_come(runs)
    resumed = resumes_left_out(combined.study, out)
    return Page(
        title=f"{combined.study.name}: at hospitals the model never visited",
        answer=answer(combined),
        sections=[*scores, *([noticed] if noticed.blocks else [])],
        problems=combined.problems,
        synthetic=combined.synthetic,
        running=f"Still to come: {', '.join(left)}. {resumed}" if left else "",
    )


def _by_site(combined: Run, runs: Mapping[str, Run]) -> Table:
    methods = combined.judgement.methods
    rows = []
    for site in runs:
        means = [mean_at(one.dice_at(site)) for one in methods]
        patients = len(methods[0].dice_at(site))
        cells = [Cell("–" if mean is None else f"{mean:.3f}") for mean in means]
        rows.append([Cell(site, prose=True), Cell(str(patients)), *cells])
    whole = [Cell(f"{one.summary.dice_mean:.3f}") for one in methods]
    rows.append([Cell("all", prose=True), Cell(str(len(methods[0].scores))), *whole])
    columns = ["left out", "patients", *(one.method for one in methods)]
    return Table("Mean patient Dice at the hospital left out", columns, rows)

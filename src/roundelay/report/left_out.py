"""Every hospital left out of training in turn: how the model does where it has never been."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundelay.records.contents import ArmRun, Run, read_run
from roundelay.report import figures
from roundelay.report.blocks import (
    Block,
    Cell,
    Figure,
    Heading,
    Items,
    Page,
    Section,
    Table,
    Text,
)  # fmt: skip
from roundelay.report.page import judgement, write_page
from roundelay.report.sentences import answer, comparisons, method_rows


def write_left_out(out: Path, sites: Sequence[str]) -> dict[str, Any]:
    """Write ``report.html`` over the runs in ``out/<site>`` so far; return the figures as values.

    Raises RunFolderError where one of these folders holds no run.
    """
    runs = {site: read_run(out / site) for site in sites if (out / site / "run.json").exists()}
    merged = aggregate(runs)
    write_page(lay_left_out(merged, runs, sites), out)
    return {
        "name": merged.study.name,
        "synthetic": merged.synthetic,
        "left_out": {
            site: {method: _mean(merged, method, site) for method in merged.methods}
            for site in runs
        },
        **{key: value for key, value in judgement(merged).items() if key != "forgetting"},
    }


def aggregate(runs: Mapping[str, Run]) -> Run:
    """One run whose patients were each scored by the model that never saw their hospital.

    A hospital's own model (``local``) has no place here: it is the one that did not train.
    """
    first = next(iter(runs.values()))
    arms: dict[str, ArmRun] = {}
    for site, run in runs.items():
        for arm in run.arms:
            if arm.site is not None:
                continue
            scores = tuple(score for score in arm.scores if score.site == site)
            before = arms.get(arm.label, replace(arm, scores=()))
            arms[arm.label] = replace(before, scores=before.scores + scores)
    problems = tuple(f"{site}: {p}" for site, run in runs.items() for p in run.problems)
    return replace(first, arms=tuple(arms.values()), problems=problems, samples=())


def lay_left_out(merged: Run, runs: Mapping[str, Run], sites: Sequence[str]) -> Page:
    """The page: the answer over all hospitals, then each of them."""
    rows, found = method_rows(merged), comparisons(merged)
    done = [site for site, run in runs.items() if run.finished]
    blocks: list[Block] = [_by_site(merged, runs)] if rows else []
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
    if found:
        blocks += [
            Heading(f"Is {found[0].first} better where it has never been?"),
            Items([str(one) for one in found]),
        ]
    if strips := figures.draw_patients(merged):
        blocks.append(
            Figure("left-out", strips, "Dice of every patient by the hospital that was left out"
                   " and by method, the mean over seeds; a bar at each hospital's mean.")
        )  # fmt: skip
    left = [site for site in sites if site not in done]
    return Page(
        title=f"{merged.study.name}: at hospitals the model never visited",
        answer=answer(merged, rows, found),
        sections=[Section("scores", "Each hospital left out in turn", blocks)] if blocks else [],
        problems=merged.problems,
        synthetic=merged.synthetic,
        running=f"Still to come: {', '.join(left)}." if left else "",
    )


def _by_site(merged: Run, runs: Mapping[str, Run]) -> Table:
    methods = merged.methods
    first = merged.scores_of(methods[0])
    rows = []
    for site in runs:
        patients = sum(score.site == site for score in first)
        means = [_mean(merged, method, site) for method in methods]
        cells = [Cell("–" if mean is None else f"{mean:.3f}") for mean in means]
        rows.append([Cell(site, prose=True), Cell(str(patients)), *cells])
    whole = [Cell(f"{row.summary.dice_mean:.3f}") for row in method_rows(merged)]
    rows.append([Cell("all", prose=True), Cell(str(len(first))), *whole])
    return Table(
        "Mean patient Dice at the hospital left out", ["left out", "patients", *methods], rows
    )


def _mean(merged: Run, method: str, site: str) -> float | None:
    values = [score.dice for score in merged.scores_of(method) if score.site == site]
    return sum(values) / len(values) if values else None

"""Several runs side by side: the same patients, other studies."""

from collections.abc import Sequence

from roundelay.errors import RunFolderError
from roundelay.evaluation.comparison import Comparison, compare
from roundelay.evaluation.fairness import gap_between
from roundelay.evaluation.judgement import MethodResult
from roundelay.evaluation.summary import site_means
from roundelay.records.contents import ArmRun, Run, refuse_other_cohorts
from roundelay.report.blocks import Block, Cell, Page, Section, Table
from roundelay.report.comparisons import comparison_blocks, reasons, seeds_awaited
from roundelay.report.sentences import median_of, worst_of


def lay_side_by_side(runs: Sequence[Run]) -> Page:
    """A page over several runs; the first method of the first one is compared with all others.

    Raises RunFolderError where the runs are of different cohorts or splits, or a name comes twice.
    """
    refuse_other_cohorts(list(runs))
    places = [run.folder.resolve() for run in runs]
    if again := next((p for i, p in enumerate(places) if p in places[:i]), None):
        raise RunFolderError(f"{again} is given twice. Give each run folder once.")
    names = [place.name for place in places]
    if len(set(names)) < len(names):
        raise RunFolderError("Two of these run folders have the same name. Rename one of them.")
    named = list(zip(names, runs, strict=True))
    found = _compared(named)
    blocks: list[Block] = [_table(named)]
    awaited = any(seeds_awaited(run) for run in runs)
    blocks += comparison_blocks(found, awaited=awaited)
    unfinished = [name for name, run in named if not run.finished]
    return Page(
        title=f"{len(runs)} runs side by side",
        answer=[str(found[0]), *reasons(found[:1], awaited=awaited)]
        if found
        else ["No two methods are finished yet."],
        sections=[Section("scores", "Scores", blocks)],
        problems=[f"{name}: {problem}" for name, run in named for problem in run.problems],
        synthetic=any(run.synthetic for run in runs),
        running=f"Unfinished: {', '.join(unfinished)}." if unfinished else "",
    )


def _table(named: Sequence[tuple[str, Run]]) -> Table:
    columns = [
        "run", "method", "mean Dice", "95 % interval", "median", "worst hospital",
        "MB passed", "work at sites",
    ]  # fmt: skip
    rows = [
        [
            Cell(name, prose=True),
            Cell(row.method, prose=True),
            Cell(f"{row.summary.dice_mean:.3f}"),
            Cell(f"{i.low:.3f}–{i.high:.3f}" if (i := row.interval) else "–"),
            Cell(median_of(row)),
            Cell(worst_of(gap_between(site_means(row.scores)))),
            Cell(_megabytes(run.arms_of(row.method)[0])),
            Cell(f"{_seconds(run, row):,.0f} s"),
        ]
        for name, run in named
        for row in run.judgement.methods
    ]
    return Table(f"Dice of {named[0][1].split} patients", columns, rows)


def _compared(named: Sequence[tuple[str, Run]]) -> list[Comparison]:
    """The first method with each other one; a row of a whole hospital can't be paired."""
    if not all(run.by_patient for _, run in named):
        return []
    dices = {
        f"{one.method} of {name}": one.by_seed
        for name, run in named
        for one in run.judgement.methods
    }
    return compare(dices) if len(dices) > 1 else []


def _megabytes(arm: ArmRun) -> str:
    return "–" if arm.bytes_passed is None else f"{arm.bytes_passed / 1e6:,.1f}"


def _seconds(run: Run, row: MethodResult) -> float:
    """Work at sites, the mean over seeds."""
    return sum(arm.seconds for arm in run.arms_of(row.method)) / len(row.single_seeds)

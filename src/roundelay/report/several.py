"""Several runs side by side: the same patients, other studies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from roundelay.errors import RunFolderError
from roundelay.evaluation.comparison import Comparison, compare
from roundelay.evaluation.fairness import gap_between
from roundelay.evaluation.judgement import MethodResult
from roundelay.evaluation.summary import site_means
from roundelay.records.contents import ArmRun, Run, read_run, refuse_other_cohorts
from roundelay.records.folds import read_folds, study_of_folds
from roundelay.records.left_out import combine_left_out, read_left_out, still_to_come
from roundelay.report.blocks import Block, Cell, Page, Section, Table, Text
from roundelay.report.comparisons import comparison_blocks, reasons, seeds_awaited
from roundelay.report.sentences import median_of, worst_of


@dataclass(frozen=True)
class Contender:
    """A run, or the folds of a study or its left-out hospitals as one; `parts` are those runs,
    `to_come` names those that aren't finished."""

    run: Run
    parts: tuple[Run, ...]
    to_come: tuple[str, ...] = ()

    def arms_of(self, method: str) -> list[ArmRun]:
        return [arm for part in self.parts for arm in part.arms_of(method)]


def read_contender(place: Path) -> Contender:
    """What a folder brings to the comparison. Raises RunFolderError where it holds no run, or of
    its folds none is finished."""
    if (study := study_of_folds(place)) is not None:
        found = read_folds(place, study)
        if not found.runs:
            raise RunFolderError(f"Of the folds in {place} none is finished yet.")
        whole = replace(found.combined, folder=place, finished=found.finished)
        folds = tuple(f"fold {fold}" for fold in found.to_come)
        return Contender(whole, tuple(found.runs.values()), folds)
    if runs := read_left_out(place):
        whole = replace(combine_left_out(runs), folder=place)
        return Contender(whole, tuple(runs.values()), tuple(still_to_come(runs)))
    run = read_run(place)
    return Contender(run, (run,))


def lay_side_by_side(contenders: Sequence[Contender]) -> Page:
    """A page over several runs; the first method of the first one is compared with all others.

    Raises RunFolderError where the runs are of different cohorts or splits, or a name comes twice.
    """
    runs = [one.run for one in contenders]
    refuse_other_cohorts(runs)
    _refuse_other_parts(contenders)
    places = [run.folder.resolve() for run in runs]
    if again := next((p for i, p in enumerate(places) if p in places[:i]), None):
        raise RunFolderError(f"{again} is given twice. Give each run folder once.")
    names = [place.name for place in places]
    if len(set(names)) < len(names):
        raise RunFolderError("Two of these run folders have the same name. Rename one of them.")
    named = list(zip(names, runs, strict=True))
    found = _compared(named)
    blocks: list[Block] = [_table(list(zip(names, contenders, strict=True)))]
    if any(len(one.parts) > 1 for one in contenders):
        blocks.append(Text("Of several folds, or hospitals left out in turn, bytes and work are"
                           " those of one model, the mean over them.", soft=True))  # fmt: skip
    awaited = any(seeds_awaited(run) for run in runs)
    blocks += comparison_blocks(found, awaited=awaited)
    unfinished = [
        name + f" (still to come: {', '.join(one.to_come)})" * bool(one.to_come)
        for name, one in zip(names, contenders, strict=True)
        if not one.run.finished
    ]
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


def _refuse_other_parts(contenders: Sequence[Contender]) -> None:
    """Raise RunFolderError where one is a single run and another several, or of other folds."""
    first, *others = contenders
    for other in others:
        ours, theirs = ({part.record["cohort"] for part in one.parts} for one in (first, other))
        single = [one.run is one.parts[0] for one in (first, other)]
        if single[0] != single[1] or not (ours <= theirs or theirs <= ours):
            raise RunFolderError(
                f"{first.run.folder} and {other.run.folder} don't hold runs of the same splits:"
                " single runs are set beside single runs, and folds, or hospitals left out in"
                " turn, beside the same ones. Report each on its own."
            )


def _table(named: Sequence[tuple[str, Contender]]) -> Table:
    columns = [
        "run", "method", "patients", "Dice", "95 %", "median", "worst hospital", "MB passed",
        "work at sites",
    ]  # fmt: skip
    rows = [
        [
            Cell(name, prose=True),
            Cell(row.method),
            Cell(f"{row.summary.patients:,}"),
            Cell(f"{row.summary.dice_mean:.3f}"),
            Cell(f"{i.low:.3f}–{i.high:.3f}" if (i := row.interval) else "–"),
            Cell(median_of(row)),
            Cell(worst_of(gap_between(site_means(row.scores)))),
            Cell(_megabytes([arm for part in one.parts for arm in part.arms_of(row.method)[:1]])),
            Cell(f"{_seconds(one, row):,.0f} s"),
        ]
        for name, one in named
        for row in one.run.judgement.methods
    ]
    return Table(f"Mean Dice of {named[0][1].run.split} patients", columns, rows)


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


def _megabytes(arms: Sequence[ArmRun]) -> str:
    """What was passed for one model, the mean over folds."""
    known = [arm.bytes_passed for arm in arms if arm.bytes_passed is not None]
    return f"{fmean(known) / 1e6:,.1f}" if len(known) == len(arms) else "–"


def _seconds(one: Contender, row: MethodResult) -> float:
    """Work at sites, the mean over seeds and folds."""
    work = sum(arm.seconds for arm in one.arms_of(row.method))
    return work / len(row.single_seeds) / len(one.parts)

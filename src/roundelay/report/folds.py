"""The page of a cross-validation: every patient scored by models that never saw them."""

from roundelay.evaluation.cross_validation import AcrossFolds, Dices
from roundelay.evaluation.intervals import Interval
from roundelay.records.folds import CrossValidation
from roundelay.report import figures, people
from roundelay.report.account import other_scores_section
from roundelay.report.blocks import Block, Cell, Figure, Page, Section, Table, Text
from roundelay.report.comparisons import comparison_blocks
from roundelay.report.fold_account import cost_section, model_section, provenance_section
from roundelay.report.going_on import resumes_folds
from roundelay.report.noticed import noticed_section
from roundelay.report.sentences import answer, full_name


def lay_folds(found: CrossValidation) -> Page:
    """The page over the folds that are finished."""
    waiting = ", ".join(map(str, found.to_come))
    running = f"To come: fold {waiting}. {resumes_folds(found)}"
    title = f"{found.study.name}: cross-validation, {found.count} folds"
    if not found.methods:
        said = ["No fold is finished yet."] if found.to_come else ["No patient was scored."]
        return Page(title, said, [], running=running if found.to_come else "")
    run = found.combined
    parts = [
        scores_section(found),
        hospitals_section(found),
        folds_section(found),
        regions_section(found),
        people.fairness_section(run),
        other_scores_section(run),
        cost_section(found),
        model_section(found),
        noticed_section(run),
        provenance_section(found),
    ]
    return Page(
        title=title,
        answer=[*answer(run), _said_of_folds(found)],
        sections=[part for part in parts if part.blocks],
        problems=run.problems,
        synthetic=run.synthetic,
        running=running if found.to_come else "",
    )


def _said_of_folds(found: CrossValidation) -> str:
    seeds = max(len(one.single_seeds) for one in found.methods)
    so_far = f"; {len(found.runs)} of {found.count} folds so far" if found.to_come else ""
    several = f"{seeds} seeds" if seeds > 1 else "one seed"
    return (
        f"Every patient was scored in one fold, by models that had not trained on them"
        f" ({several}{so_far})."
    )


def scores_section(found: CrossValidation) -> Section:
    """Mean and median of every method, and what the differences are worth."""
    run = found.combined
    most = max(one.patients for one in found.methods)
    rows = [
        [
            Cell(
                f"{one.method}: {full_name(run, one.method)}",
                prose=True,
                colour=figures.colour_of(run, one.method),
            ),
            *_dices(one.dice),
            Cell(" ".join(f"{mean:.3f}" for mean in sorted(one.single_seeds))),
            Cell("–" if one.spread is None else f"{one.spread:.3f}"),
        ]
        for one in found.methods
    ]
    columns = [
        "method", "mean Dice", "95 % of it", "median", "95 % of it", "single seeds", "their spread",
    ]  # fmt: skip
    blocks: list[Block] = [
        Table(f"Dice of {most} patients, each patient's slices as one volume", columns, rows),
        Text(_said_of_intervals(found), soft=True),
    ]
    blocks += [
        Text(
            f"{one.method} has scores of {one.patients} of the {most} patients: the others' own"
            " hospital had nobody left to train a model of its own on.",
            soft=True,
        )
        for one in found.methods
        if one.patients < most
    ]
    blocks += comparison_blocks(run.judgement.comparisons)
    return Section("scores", "Scores over all folds", blocks)


def _dices(dice: Dices) -> list[Cell]:
    return [
        Cell(f"{dice.mean:.3f}"),
        Cell(_interval(dice.mean_interval)),
        Cell(f"{dice.median:.3f}"),
        Cell(_interval(dice.median_interval)),
    ]


def _interval(found: Interval | None) -> str:
    return f"{found.low:.3f}–{found.high:.3f}" if found else "–"


def _said_of_intervals(found: CrossValidation) -> str:
    intervals = [one.dice.mean_interval for one in found.methods if one.dice.mean_interval]
    if not intervals:
        return "Below five patients no interval is given."
    limit = (
        " What other patients to train on would have given, no interval says: the folds' models"
        " share most of theirs."
    )
    if intervals[0].over == "patients":
        return (
            "Intervals say what other patients of these hospitals might have given (bootstrap over"
            f" patients); what another seed would give, one seed can't say.{limit}"
        )
    return (
        "A patient counts with the mean over seeds. Intervals say what other seeds and other"
        " patients of these hospitals might have given: both are resampled, a seed as the whole"
        " cross-validation that it is. Single seeds are the means over all patients, their spread"
        f" is the standard deviation.{limit}"
    )


def hospitals_section(found: CrossValidation) -> Section:
    """Every hospital's mean, and every patient as a point."""
    run = found.combined
    sites = sorted({site for one in found.methods for site in one.sites})
    counts = {site: max(o.sites[site][0] for o in found.methods if site in o.sites)
              for site in sites}  # fmt: skip
    columns = ["method", *(f"{site} ({counts[site]})" for site in sites)]
    rows = [
        [
            Cell(one.method, prose=True, colour=figures.colour_of(run, one.method)),
            *(Cell(f"{one.sites[s][1]:.3f}" if s in one.sites else "–") for s in sites),
        ]
        for one in found.methods
    ]
    blocks: list[Block] = [Table("Mean Dice at each hospital (patients)", columns, rows)]
    if strips := figures.draw_patients(run):
        blocks.append(
            Figure("patients", strips, "Dice of every patient by hospital and method, the mean over"
                   " seeds; a bar at each hospital's mean. local: the hospital's own model.")
        )  # fmt: skip
    return Section("hospitals", "Hospital by hospital", blocks)


def folds_section(found: CrossValidation) -> Section:
    """Every fold's mean, to see whether one of them decides."""
    columns = ["fold", "patients", *(one.method for one in found.methods)]
    rows = [
        [
            Cell(f"fold {fold}", prose=True),
            Cell(str(max(o.folds[fold][0] for o in found.methods if fold in o.folds))),
            *(_of_fold(one, fold) for one in found.methods),
        ]
        for fold in _scored(found)
    ]
    text = (
        "A fold's own patients are few, so its mean moves far with each of them. Each fold's"
        " folder (fold-1, ...) holds a whole run with its own report, curves and pictures."
    )
    blocks: list[Block] = [Table("Mean Dice of each fold's test patients", columns, rows),
                           Text(text, soft=True)]  # fmt: skip
    return Section("folds", "Fold by fold", blocks)


def _scored(found: CrossValidation) -> list[int]:
    """The folds with scores."""
    return sorted({fold for one in found.methods for fold in one.folds})


def _of_fold(one: AcrossFolds, fold: int) -> Cell:
    return Cell(f"{one.folds[fold][1]:.3f}" if fold in one.folds else "–")


def regions_section(found: CrossValidation) -> Section:
    """Every region by method, where the study has several."""
    names = list(found.study.data.regions)
    if len(names) < 2:
        return Section("regions", "By region", [])
    rows = [
        [
            Cell(f"{name}, {one.method}", prose=True,
                 colour=figures.colour_of(found.combined, one.method)),
            *_dices(one.regions.get(name, one.dice)),
        ]
        for name in names
        for one in found.methods
    ]  # fmt: skip
    columns = ["region", "mean Dice", "95 % of it", "median", "95 % of it"]
    text = f"All other tables and comparisons are of {names[0]}."
    blocks: list[Block] = [Table("All patients", columns, rows), Text(text, soft=True)]
    return Section("regions", "By region", blocks)

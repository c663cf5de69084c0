"""What validation after each round shows: would more rounds help, and what does a choice cost?"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from roundelay.evaluation.comparison import signed
from roundelay.evaluation.rounds import Progress, by_rule, changes, progress, worst_site
from roundelay.records.contents import ArmRun, Run
from roundelay.report.blocks import Block, Cell, Items, Section, Table, Text, cells
from roundelay.report.crowds import is_crowd
from roundelay.study.study import Study

NOT_FOLLOWED = (
    'Whether more rounds would help isn\'t measured: the study has follow = "none". With'
    ' [evaluation] follow = "round" and validation patients each round is validated.'
)


def progress_blocks(run: Run) -> list[Block]:
    """The best round so far and the last one, of every model that goes round."""
    found = {a.label: p for a in run.arms if not a.site and (p := progress(a.validations))}
    if not found:
        followed = any(arm.validations for arm in run.arms)
        return [] if followed or run.study.evaluation.follow != "none" else [Text(NOT_FOLLOWED)]
    columns = ["arm and seed", "rounds", "best so far", "in round", "last", "last less best before"]
    rows = [
        cells(
            label,
            str(one.rounds),
            f"{one.best:.3f}",
            str(one.best_round),
            f"{one.last:.3f}",
            signed(one.gain),
        )
        for label, one in found.items()
    ]
    caption = "Dice of validation patients by round, mean over hospitals"
    return [Table(caption, columns, rows), Text(_said_of_progress(run, list(found.values())))]


def _said_of_progress(run: Run, found: Sequence[Progress]) -> str:
    rising = sum(one.gain > 0 for one in found)
    of = f"{rising} of {len(found)} models" if len(found) > 1 else "the model"
    if rising:
        said = (
            f"The last round is the best of {of}: more rounds may help. Go on from a finished run"
            " by  roundelay run RUN --more-rounds 5 --out MORE."
        )
    else:
        said = "No model's last round is its best: more rounds of the same would hardly help."
    if run.study.recipe.recalibrate_batchnorm:
        said += " The last round's figure is after the BatchNorm recalibration, the others' before."
    few = sum(site["patients"]["validation"] for site in run.record["sites"])
    return f"{said} All of this rests on {few} validation patients."


def takes_a_round(study: Study) -> bool:
    """Whether any round's model could be the one that is taken."""
    recipe = study.recipe
    return not recipe.recalibrate_batchnorm and recipe.average != "last_round"


def choice_section(run: Run) -> Section:
    """Which round each rule takes, side by side, and what the study's own costs whom."""
    arms = [arm for arm in run.arms if arm.done and not arm.site and by_rule(arm.validations)]
    if not arms or not takes_a_round(run.study):
        return Section("choice", "Which round's model is taken", [])
    columns = ["arm and seed", "choose", "round", "mean over hospitals", "worst hospital"]
    rows = [row for arm in arms for row in _rows(run, arm)]
    blocks: list[Block] = [
        Table("Validation Dice of what each rule takes", columns, rows),
        Text(
            "best: the round with the best mean over hospitals; worst-site: that with the best"
            " worst hospital. Marked: the study's own rule. Validation patients choose, so these"
            " figures lean upwards; test patients choose nothing.",
            soft=True,
        ),
    ]
    if run.study.evaluation.choose == "worst-site":
        blocks.insert(0, Items([_cost(arm) for arm in arms]))
    return Section("choice", "Which round's model is taken", blocks)


def _rows(run: Run, arm: ArmRun) -> list[list[Cell]]:
    found = []
    for rule, row in by_rule(arm.validations).items():
        site, dice = worst_site(row)
        own = " (taken)" if rule == run.study.evaluation.choose else ""
        mean = f"{fmean(row.dice.values()):.3f}"
        found.append(cells(arm.label, f"{rule}{own}", str(row.round), mean, f"{site} {dice:.3f}"))
    return found


def _cost(arm: ArmRun) -> str:
    """What taking the round of the best worst hospital changes for each of them."""
    rules = by_rule(arm.validations)
    taken, other = rules["worst-site"], rules["best"]
    if taken.leg == other.leg:
        return (
            f"{arm.label}: round {taken.round} is best by the worst hospital and by the mean: the"
            " choice cost nobody anything."
        )
    each = _each(changes(taken, other))
    mean = fmean(taken.dice.values()) - fmean(other.dice.values())
    return (
        f"{arm.label}: choosing round {taken.round} by the worst hospital, and not round"
        f" {other.round} by the mean, changed each hospital's validation Dice by {each}"
        f" (mean {signed(mean)})."
    )


def _each(found: Mapping[str, float]) -> str:
    """Every hospital's change; of very many the largest loss and gain."""
    rows = (
        sorted(found.items(), key=lambda item: item[1]) if is_crowd(len(found)) else found.items()
    )
    named = [f"{site} {signed(value)}" for site, value in rows]
    if not is_crowd(len(named)):
        return ", ".join(named)
    lost = sum(value < 0 for value in found.values())
    return f"{named[0]} to {named[-1]}, less at {lost} of {len(named)} hospitals"

"""The sections on scores: the answer's table, the model's itinerary, curves, forgetting."""

from collections.abc import Sequence

from roundelay.evaluation.comparison import signed
from roundelay.evaluation.fairness import gap_between
from roundelay.evaluation.forgetting import Validation, measure_forgetting
from roundelay.evaluation.judgement import MethodResult
from roundelay.evaluation.summary import site_means
from roundelay.records.contents import ArmRun, Run
from roundelay.report import figures
from roundelay.report.blocks import (
    Block,
    Cell,
    Figure,
    Heading,
    Items,
    Section,
    Table,
    Text,
    cells,
)  # fmt: skip
from roundelay.report.comparisons import comparison_blocks, seeds_awaited
from roundelay.report.crowds import is_crowd
from roundelay.report.rounds import progress_blocks
from roundelay.report.sentences import full_name, median_of, size_of, worst_of
from roundelay.study.sections import RELAYS

DRAWN = ("cwt", "swt", "fedavg")
"""Arms whose itinerary is drawn; that of fedprox is fedavg's."""


def scores_section(run: Run) -> Section:
    """Every method in a row, and what the differences are worth."""
    rows = run.judgement.methods
    blocks: list[Block] = []
    if rows:
        first = rows[0].summary
        blocks = [
            _scores_table(run),
            Text(
                f"{_said_of_intervals(run)} The gap lies between the best and the worst hospital"
                " of those with more than one patient."
                " An empty prediction scores 0 by patient,"
                f" but {first.slice_dice_of_empty_prediction:.2f} by slice, where two empty masks"
                " count as 1: read slice scores beside that figure.",
                soft=True,
            ),
        ]
    blocks += comparison_blocks(run.judgement.comparisons, awaited=seeds_awaited(run))
    return Section("scores", "Scores", blocks)


def _scores_table(run: Run) -> Table:
    columns = [
        "method", "mean Dice", "95 % interval", "median", "single seeds",
        "worst hospital", "gap",
    ]  # fmt: skip
    rows = [
        [
            Cell(
                f"{row.method}: {full_name(run, row.method)}",
                prose=True,
                colour=figures.colour_of(run, row.method),
            ),
            Cell(f"{row.summary.dice_mean:.3f}"),
            Cell(_interval(row)),
            Cell(median_of(row)),
            Cell(_spread(row.single_seeds)),
            Cell(worst_of(distance := gap_between(site_means(row.scores)))),
            Cell(size_of(distance)),
        ]
        for row in run.judgement.methods
    ]
    caption = f"Dice of {run.split} patients, each patient's slices as one volume"
    return Table(caption, columns, rows)


def itinerary_section(run: Run) -> Section:
    """The model's itinerary through the hospitals."""
    blocks: list[Block] = []
    for arm in _first_of(run, DRAWN):
        stops = sum(len(leg.stops) for leg in arm.legs if leg.task == "train")
        legs = sum(leg.task == "train" for leg in arm.legs)
        shape = (
            f"{stops} visits one after the other"
            if arm.name in RELAYS
            else f"{legs} rounds of visits side by side, a mean after each"
        )
        recalibrated = any(leg.task != "train" for leg in arm.legs)
        end = "; a BatchNorm recalibration at every hospital ends it" if recalibrated else ""
        blocks.append(
            Figure(
                f"itinerary-{arm.label}",
                figures.draw_itinerary(run, arm),
                f"{arm.method}: {shape}{end}. {_visits_drawn(run, arm)}",
            )
        )
    away = [f"{arm.label}: {sentence}" for arm in run.arms for sentence in arm.away]
    if away:
        blocks += [Heading("Hospitals that were away"), Items(away)]
    return Section("itinerary", "The model's itinerary", blocks)


def _visits_drawn(run: Run, arm: ArmRun) -> str:
    still = "a ring is still to come, a cross was skipped."
    if is_crowd(len(figures.arm_sites(run, arm))):
        return f"A point is a visit; {still}"
    return f"A disc is a visit, as large as its share of slices; {still}"


def curves_section(run: Run) -> Section:
    """Loss and validation over the itinerary."""
    blocks: list[Block] = []
    if losses := figures.draw_losses(run):
        blocks.append(
            Figure("losses", losses, "Training loss of each visit (of each round side by side),"
                   f" first seed{_named(run)}.")
        )  # fmt: skip
    if validations := figures.draw_validation(run):
        blocks.append(
            Figure("validation", validations, "Dice of validation patients after hand-overs, mean"
                   " over hospitals, first seed.")
        )  # fmt: skip
    blocks += progress_blocks(run)
    return Section("curves", "Over the hand-overs", blocks)


def _named(run: Run) -> str:
    relay = run.relay_arm()
    many = relay is None or len(figures.losses(relay)[0]) > figures.MANY_HANDOVERS
    return "" if many else "; the hospital of each visit of the first relay beside its point"


def forgetting_section(run: Run) -> Section:
    """What was learned at a hospital and lost at the next ones; what the order changes."""
    blocks: list[Block] = []
    if run.study.evaluation.follow == "none":
        blocks.append(
            Text('Not measured: the study has follow = "none". With [evaluation] follow = "visit"'
                 " the model is validated at every hospital after every hand-over.")
        )  # fmt: skip
        return Section("forgetting", "Forgetting", [*blocks, *_orders(run)])
    for arm in _first_of(run, RELAYS):
        if matrix := figures.draw_matrix(run, arm):
            blocks.append(
                Figure(f"matrix-{arm.label}", matrix, f"{arm.method}: validation Dice at each"
                       " hospital (rows) after each hand-over (columns), first seed. Framed: the"
                       " hospital just visited.")
            )  # fmt: skip
    table = [
        row
        for arm in run.arms
        if arm.done and len(arm.validations) > 1
        for row in _forgetting_rows(arm)
    ]
    if table:
        columns = [
            "arm and seed", "forgotten, mean", "most", "backward transfer", "last-site bias",
        ]  # fmt: skip
        blocks.append(Table("Validation Dice lost and kept", columns, table))
        blocks.append(
            Text(
                "Forgotten: the best Dice a hospital had after any hand-over less its last one."
                " Backward transfer: the last Dice less that right after the hospital's own last"
                " visit; below 0 means lost. Last-site bias: how much better a hospital does right"
                " after its own visit than on average over the last round.",
                soft=True,
            )
        )
    return Section("forgetting", "Forgetting", [*blocks, *_orders(run)])


def _forgetting_rows(arm: ArmRun) -> list[list[Cell]]:
    """The main region's row, then those of the others."""
    rows = [_forgetting_row(arm.label, arm.validations)]
    for name in arm.validations[0].regions:
        own = [one.of_region(name) for one in arm.validations]
        rows.append(_forgetting_row(f"{arm.label}, {name}", own))
    return rows


def _forgetting_row(label: str, validations: Sequence[Validation]) -> list[Cell]:
    found = measure_forgetting(validations)
    most = max(found.forgotten.items(), key=lambda item: item[1], default=None)
    return cells(
        label,
        _signed(found.mean),
        f"{most[0]} {signed(most[1])}" if most else "–",
        _signed(found.backward_transfer),
        _signed(found.last_site_bias),
    )


def _orders(run: Run) -> list[Block]:
    """How far the order alone moves the score: arms that differ in nothing else."""
    named = [arm for arm in run.arms if arm.order and arm.summary]
    by_arm = {(arm.name, arm.seed) for arm in named}
    sentences = []
    for name, seed in sorted(by_arm):
        means = {
            str(a.order): a.summary.dice_mean
            for a in named
            if (a.name, a.seed) == (name, seed) and a.summary
        }
        if len(means) > 1:
            each = ", ".join(f"{order} {mean:.3f}" for order, mean in means.items())
            apart = max(means.values()) - min(means.values())
            sentences.append(f"{name}, seed {seed}: {each}; {apart:.3f} apart by order alone.")
    return [Heading("Sensitivity to the order"), Items(sentences)] if sentences else []


def _first_of(run: Run, names: tuple[str, ...]) -> list[ArmRun]:
    """The first arm of each method among these names."""
    seen: dict[str, ArmRun] = {}
    for arm in run.arms:
        if arm.name in names:
            seen.setdefault(arm.method, arm)
    return list(seen.values())


def _interval(row: MethodResult) -> str:
    found = row.interval
    return f"{found.low:.3f}–{found.high:.3f}" if found else "–"


def _spread(values: tuple[float, ...]) -> str:
    return "one seed" if len(values) == 1 else " ".join(f"{value:.3f}" for value in sorted(values))


def _said_of_intervals(run: Run) -> str:
    over = {row.interval.over for row in run.judgement.methods if row.interval}
    if not over:
        return "Below five patients no interval is given."
    if over == {"patients"}:
        return (
            "The interval says what other patients of these hospitals might have given the same"
            " model (bootstrap over patients); what another seed would give, one seed can't say."
        )
    return (
        "The interval says what other seeds and other patients of these hospitals might have given"
        " (both resampled); single seeds are each model's mean."
    )


def _signed(value: float | None) -> str:
    return "–" if value is None else signed(value)

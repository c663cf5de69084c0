"""The figures of a report. Each function takes a run and returns an SVG, or None without data."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.scores import PatientScore
from roundelay.records.contents import ArmRun, Run
from roundelay.report.crowds import WIDTH, draw_hospitals, draw_visits, is_crowd
from roundelay.report.drawing import FAINT, INK, METHOD_COLOURS, PAPER, draw, short

MANY_HANDOVERS = 30  # from here on names and numbers would overlap


def colour_of(run: Run, method: str) -> str:
    methods = list(dict.fromkeys(arm.method for arm in run.arms))
    return METHOD_COLOURS[methods.index(method) % len(METHOD_COLOURS)]


def draw_itinerary(run: Run, arm: ArmRun) -> str:
    """The itinerary: a lane for each hospital, time from left to right."""
    sites, colour = arm_sites(run, arm), colour_of(run, arm.method)
    return (draw_visits if is_crowd(len(sites)) else draw_lanes)(arm, sites, colour)


def draw_lanes(arm: ArmRun, sites: Sequence[str], colour: str) -> str:
    """A disc for each visit in the lane of its hospital, lines for hand-overs."""
    lanes = {site: i for i, site in enumerate(sites)}
    trained = [leg for leg in arm.legs if leg.task == "train"]
    largest = max(stop.slice_visits for leg in trained for stop in leg.stops)
    skipped = {receipt.stop for receipt in arm.receipts if receipt.task == "absent"}
    width = WIDTH if len(trained) > 6 else min(WIDTH, 3.0 + 0.8 * len(trained))

    def paint(axes: Any) -> None:
        axes.hlines(list(lanes.values()), -0.6, len(trained) - 0.4, color=FAINT, lw=0.6, alpha=0.6)
        _draw_rounds(axes, arm, len(lanes))
        last: list[tuple[int, int]] = []
        for x, leg in enumerate(trained):
            here = [(x, lanes[stop.site]) for stop in leg.stops]
            for before, after in product(last, here):
                if len(here) == 1 or len(last) == 1 or before[1] == after[1]:
                    axes.plot(*zip(before, after, strict=True), color=colour, lw=1.6, zorder=2)
            if len(here) > 1:  # side by side: one mean of all
                axes.plot([x + 0.28] * 2, [0, len(lanes) - 1], color=colour, lw=3, alpha=0.5)
            for stop, (_, y) in zip(leg.stops, here, strict=True):
                size = 30 + 170 * stop.slice_visits / largest
                face = colour if x < arm.legs_done else PAPER
                if stop.index in skipped:
                    axes.scatter(x, y, s=90, marker="x", color=colour, lw=1.6, zorder=3)
                else:
                    axes.scatter(x, y, s=size, color=face, edgecolor=colour, lw=1.6, zorder=3)
            last = here
        axes.set_yticks(list(lanes.values()), [short(site) for site in lanes])
        axes.set_ylim(len(lanes) - 0.5, -0.9)
        axes.set_xlim(-0.6, len(trained) - 0.3)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])

    return draw(width, 0.6 + 0.42 * len(lanes), paint)


def _draw_rounds(axes: Any, arm: ArmRun, lanes: int) -> None:
    start = 0
    rounds: dict[int, int] = {}
    for leg in (leg for leg in arm.legs if leg.task == "train"):
        rounds[leg.stops[0].round] = rounds.get(leg.stops[0].round, 0) + 1
    for number, count in rounds.items():
        if number % 2 == 0:
            axes.axvspan(start - 0.5, start + count - 0.5, color=FAINT, alpha=0.1, lw=0)
        label = f"round {number}" if count > 2 or len(rounds) < 8 else str(number)
        axes.text(start + count / 2 - 0.5, -0.6, label, ha="center", color=INK, size=8.5)
        start += count


def arm_sites(run: Run, arm: ArmRun) -> list[str]:
    """The hospitals of an arm as the run gives them, then any other name."""
    visited = dict.fromkeys(stop.site for leg in arm.legs for stop in leg.stops)
    return [*(s for s in run.sites if s in visited), *(s for s in visited if s not in run.sites)]


def draw_losses(run: Run) -> str | None:
    """Training loss of each arm over the slice-visits seen; the relay's points carry names."""
    first = run.arms[0].seed if run.arms else 0
    arms = [arm for arm in run.arms if arm.receipts and arm.seed == first and not arm.site]
    if not arms:
        return None

    def paint(axes: Any) -> None:
        for arm in arms:
            xs, ys = losses(arm)
            axes.plot(
                xs, ys, "o-", ms=3.5, lw=1.4, color=colour_of(run, arm.method), label=arm.method
            )
            if arm is run.relay_arm() and len(xs) <= MANY_HANDOVERS:
                for x, y, leg in zip(xs, ys, arm.legs, strict=False):
                    axes.annotate(
                        short(leg.stops[0].site), (x, y), (0, 7), textcoords="offset points",
                        size=7.5, ha="center", rotation=45 if len(xs) > 12 else 0,
                    )  # fmt: skip
        axes.set_xlabel("slice-visits seen")
        axes.set_ylabel("training loss")
        axes.set_ylim(bottom=0)
        axes.margins(y=0.15)
        axes.legend(ncols=6, loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=9)

    return draw(WIDTH, 3.2, paint)


def losses(arm: ArmRun) -> tuple[list[int], list[float]]:
    """Slice-visits seen after each leg, and the mean loss over those of the leg."""
    seen, xs, ys = 0, [], []
    by_stop = {receipt.stop: receipt for receipt in arm.receipts}
    for leg in arm.legs[: arm.legs_done]:
        own = [by_stop[stop.index] for stop in leg.stops if stop.task == "train"]
        visits = sum(receipt.slice_visits for receipt in own)
        if visits:
            seen += visits
            xs.append(seen)
            ys.append(sum((r.loss or 0.0) * r.slice_visits for r in own) / visits)
    return xs, ys


def draw_validation(run: Run) -> str | None:
    """Validation Dice, mean over hospitals, of every arm that was followed."""
    seed = run.arms[0].seed if run.arms else None
    arms = [
        (arm, rows)  # hospitals may keep their scores, all of them
        for arm in run.arms
        if arm.seed == seed and not arm.site
        and len(rows := [row for row in arm.validations if row.dice]) > 1
    ]  # fmt: skip
    if not arms:
        return None

    def paint(axes: Any) -> None:
        for arm, rows in arms:
            xs = [(row.leg + 1) / len(arm.legs) for row in rows]
            ys = [sum(row.dice.values()) / len(row.dice) for row in rows]
            axes.plot(
                xs, ys, "o-", ms=3.5, lw=1.4, color=colour_of(run, arm.method), label=arm.method
            )
        axes.set_xlabel("part of the itinerary")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_ylabel("validation Dice")
        axes.set_ylim(0, 1)
        axes.legend(ncols=6, loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=9)

    return draw(WIDTH, 3.0, paint)


def draw_matrix(run: Run, arm: ArmRun) -> str | None:
    """What the model knew at each hospital after each hand-over; the one just visited is framed."""
    if len(arm.validations) < 2:
        return None
    sites = [site for site in run.sites if all(site in row.dice for row in arm.validations)]
    if not sites:
        return None
    values = [[validation.dice[site] for validation in arm.validations] for site in sites]
    crowd = is_crowd(len(sites))

    def paint(axes: Any) -> None:
        axes.imshow(values, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        if crowd:
            axes.set_ylabel(f"{len(sites)} hospitals")
        else:
            _mark_cells(axes, sites, arm.validations)
            axes.set_yticks(range(len(sites)), [short(site) for site in sites])
        names = [_visited(validation) for validation in arm.validations]
        if len(names) <= MANY_HANDOVERS or not crowd:
            axes.set_xticks(range(len(names)), names, rotation=45, ha="right", size=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return draw(WIDTH, 4.8 if crowd else 1.1 + 0.36 * len(sites), paint)


def _mark_cells(axes: Any, sites: Sequence[str], validations: Sequence[Validation]) -> None:
    """The number in each cell where there is room, and a frame at the hospital just visited."""
    for x, validation in enumerate(validations):
        for y, site in enumerate(sites):
            value = validation.dice[site]
            ink = "#101418" if value > 0.55 else "#f4f6f8"
            if len(validations) <= MANY_HANDOVERS:
                axes.text(x, y, f"{value:.2f}", ha="center", va="center", size=8, color=ink)
            if site in validation.visited:
                axes.add_patch(_border(x, y, ink))


def _visited(validation: Validation) -> str:
    if len(validation.visited) == 1:
        return short(validation.visited[0])
    return "all" if validation.visited else "recalibration"


def _border(x: int, y: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, edgecolor=colour, lw=1.6)


def draw_patients(run: Run) -> str | None:
    """Dice of every patient, by hospital and method; a bar at each mean."""
    methods = {one.method: one.scores for one in run.judgement.methods}
    if not methods:
        return None
    sites = sorted({score.site for scores in methods.values() for score in scores})
    if is_crowd(len(sites)):
        return draw_hospitals(methods, {method: colour_of(run, method) for method in methods})

    def paint(axes: Any) -> None:
        step = 0.8 / len(methods)
        for i, (method, scores) in enumerate(methods.items()):
            colour = colour_of(run, method)
            for x, site in enumerate(sites):
                centre = x - 0.4 + step * (i + 0.5)
                _draw_strip(axes, centre, step, [s for s in scores if s.site == site], colour)
            axes.plot([], [], "o", ms=5, color=colour, label=method)
        counts = {s: sum(x.site == s for x in next(iter(methods.values()))) for s in sites}
        axes.set_xticks(range(len(sites)), [f"{short(s)}\n{_patients(counts[s])}" for s in sites])
        axes.set_xlim(-0.55, len(sites) - 0.45)
        for x in range(len(sites) - 1):
            axes.axvline(x + 0.5, color=FAINT, lw=0.5)
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel("patient Dice")
        axes.tick_params(axis="x", length=0)
        axes.legend(ncols=len(methods), loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)

    return draw(WIDTH, 3.8, paint)


def _patients(count: int) -> str:
    return f"{count} patient{'s' * (count != 1)}"


def _draw_strip(
    axes: Any, centre: float, width: float, scores: Sequence[PatientScore], colour: str
) -> None:
    if not scores:
        return
    values = sorted(score.dice for score in scores)
    # Spread by rank, so that the picture is the same each time.
    spread = [((k * 0.618) % 1 - 0.5) * width * 0.6 for k in range(len(values))]
    xs = [centre + s for s in spread] if len(values) > 1 else [centre]
    axes.scatter(xs, values, s=16, color=colour, alpha=0.75, lw=0)
    mean = sum(values) / len(values)
    axes.hlines(mean, centre - width * 0.4, centre + width * 0.4, color=colour, lw=2.4)

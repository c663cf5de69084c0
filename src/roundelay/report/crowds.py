"""Figures of very many hospitals: no lane and no name for each, all of them in one look."""

from collections.abc import Mapping, Sequence
from typing import Any

from roundelay.evaluation.scores import PatientScore
from roundelay.records.contents import ArmRun
from roundelay.report.drawing import FAINT, draw

WIDTH = 9.2  # inches of a figure on the page
CROWD = 30
"""Hospitals from which on names beside an axis would overlap."""


def is_crowd(count: int) -> bool:
    """Whether so many hospitals are drawn together."""
    return count > CROWD


def draw_visits(arm: ArmRun, sites: Sequence[str], colour: str) -> str:
    """A point for each visit: hospitals from top to bottom, time from left to right."""
    lanes = {site: i for i, site in enumerate(sites)}
    trained = [leg for leg in arm.legs if leg.task == "train"]
    skipped = {receipt.stop for receipt in arm.receipts if receipt.task == "absent"}
    kinds: dict[str, list[tuple[int, int]]] = {"done": [], "open": [], "skipped": []}
    for x, leg in enumerate(trained):
        for stop in leg.stops:
            kind = "skipped" if stop.index in skipped else "done" if x < arm.legs_done else "open"
            kinds[kind].append((x, lanes[stop.site]))
    looks: dict[str, dict[str, Any]] = {
        "done": {"color": colour, "lw": 0},
        "open": {"facecolor": "none", "edgecolor": colour, "lw": 0.8},
        "skipped": {"color": colour, "marker": "x", "lw": 1},
    }

    def paint(axes: Any) -> None:
        for kind, points in kinds.items():
            if points:
                xs, ys = zip(*points, strict=True)
                # As one picture: a thousand discs as drawings would weigh more than the page.
                axes.scatter(xs, ys, s=9, rasterized=True, **looks[kind])
        axes.set_ylim(len(lanes) - 0.5, -0.5)
        axes.set_xlim(-1, len(trained))
        axes.set_xlabel("rounds" if len(trained) < len(lanes) else "hand-overs")
        axes.set_ylabel(f"{len(lanes)} hospitals")
        _mark_rounds(axes, trained)

    return draw(WIDTH, 3.6, paint)


def _mark_rounds(axes: Any, trained: Sequence[Any]) -> None:
    for x in range(1, len(trained)):
        if trained[x].stops[0].round != trained[x - 1].stops[0].round and len(trained) > CROWD:
            axes.axvline(x - 0.5, color=FAINT, lw=0.5)


def draw_hospitals(
    methods: Mapping[str, Sequence[PatientScore]], colours: Mapping[str, str]
) -> str:
    """Mean Dice of every hospital, from the worst to the best of each method; patients behind."""

    def paint(axes: Any) -> None:
        for method, own in methods.items():
            by_site: dict[str, list[float]] = {}
            for score in own:
                by_site.setdefault(score.site, []).append(score.dice)
            found = sorted(by_site.values(), key=lambda dices: sum(dices) / len(dices))
            xs = [100 * (i + 0.5) / len(found) for i in range(len(found))]
            spread = [(x, dice) for x, dices in zip(xs, found, strict=True) for dice in dices]
            axes.scatter(
                *zip(*spread, strict=True), s=4, color=colours[method], alpha=0.3, lw=0,
                rasterized=True,
            )  # fmt: skip
            means = [sum(dices) / len(dices) for dices in found]
            axes.plot(xs, means, color=colours[method], lw=2, label=method)
        axes.set_xlabel("hospitals, from the worst to the best of each method")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        axes.set_xlim(0, 100)
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel("patient Dice")
        axes.legend(ncols=len(methods), loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9)

    return draw(WIDTH, 3.8, paint)

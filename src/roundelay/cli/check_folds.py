"""``roundelay check`` of a study with folds: who tests where, time, memory and disk of all runs."""

from pathlib import Path
from typing import Any

from roundelay.cli import results, show
from roundelay.cli.check import said_of_drawn
from roundelay.cli.progress import duration
from roundelay.data.survey import TEST
from roundelay.plan.arms import drawn_slices
from roundelay.plan.cost import Cost, cached_bytes, planned_bytes
from roundelay.plan.itinerary import as_json
from roundelay.running.fold_plan import FoldPlan, FoldsPlan, prepared_folds
from roundelay.running.timing import measure
from roundelay.study.study import Study


def check_folds(study: Study, *, out: Path, device: str, json_: bool) -> None:
    """Prepare all folds as if into `out`, time a step; write nothing."""
    with prepared_folds(study, out, device=device) as plan:
        cost = measure(plan.folds[0].study, plan.arms, plan.machine)
        if json_:
            show.json_line(_as_json(plan, cost))
            return
        _print(plan, cost)
        for notice in plan.notices:
            show.line(f"Note: {notice}")


def _as_json(plan: FoldsPlan, cost: Cost) -> dict[str, Any]:
    return {
        "study": plan.study.digest,
        "folds": [
            {
                "fold": one.fold,
                "study": one.study.digest,
                "sites": [survey.as_json() for survey in one.surveys.values()],
                "trained_on": drawn_slices(one.study, one.surveys),
                "arms": [
                    {
                        "arm": arm.label,
                        "slice_visits": arm.slice_visits,
                        "bytes": planned_bytes(one.study, arm.name, arm.legs, cost.baton_bytes),
                        "itinerary": as_json(arm.legs),
                    }
                    for arm in one.arms
                ],
            }
            for one in plan.folds
        ],
        "seconds": cost.seconds,
        "memory": cost.memory,
        "disk": plan.room,
        "cache": _cached(plan),
        "left_out": [one.as_json() for one in plan.left_out],
        "notices": plan.notices,
    }


def _cached(plan: FoldsPlan) -> int:
    """Bytes of all folds' training slices: each patient trains in all folds but one, and is kept
    once for all of them."""
    found = sum(cached_bytes(one.study, one.surveys) for one in plan.folds)
    return found // (len(plan.folds) - 1)


def _print(plan: FoldsPlan, cost: Cost) -> None:
    first = plan.folds[0]
    rows = [
        [
            site,
            str(sum(survey.patients.values())),
            *(str(one.surveys[site].patients[TEST]) for one in plan.folds),
        ]
        for site, survey in first.surveys.items()
    ]
    columns = ["site", "patients", *(f"test in fold {one.fold}" for one in plan.folds)]
    show.table(f"{plan.study.name}  (digest {plan.study.digest[:12]})", columns, rows)
    if plan.study.data.train_slices is not None:
        show.line(said_of_drawn(plan.study))
    show.line("")
    show.table(None, ["arm", "models", "slice-visits", "MB"], _arms(plan.folds, cost))
    show.line(
        f"\nTraining and hand-overs of all {len(plan.folds)} folds take about"
        f" {duration(cost.seconds)} here ({cost.slices_per_second:.1f} slices/s on one step;"
        f" {plan.machine}), {cost.memory / 1e9:.1f} GB of memory and"
        f" {results.megabytes(plan.room)} MB of disk."
    )
    show.line(
        "Training slices are kept as the network sees them, once for all folds:"
        f" {results.megabytes(_cached(plan))} MB (see  roundelay cache)."
    )


def _arms(folds: tuple[FoldPlan, ...], cost: Cost) -> list[list[str]]:
    """A row a method: its models of all folds and seeds together."""
    found: dict[str, list[tuple[int, int | None]]] = {}
    for one in folds:
        for arm in one.arms:
            passed = planned_bytes(one.study, arm.name, arm.legs, cost.baton_bytes)
            name = arm.name + (f", {arm.order}" if arm.order else "")
            found.setdefault(name, []).append((arm.slice_visits, passed))
    return [
        [
            name,
            str(len(own)),
            f"{sum(visits for visits, _ in own):,}",
            results.megabytes(
                None if any(p is None for _, p in own) else sum(p or 0 for _, p in own)
            ),
        ]
        for name, own in found.items()
    ]

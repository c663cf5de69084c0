"""``roundelay check``: what a study will do, before it does it."""

from collections.abc import Mapping
from pathlib import Path

from roundelay.cli import show
from roundelay.cli.progress import duration
from roundelay.couriers import open_courier
from roundelay.data.survey import SPLITS, SiteSurvey
from roundelay.learning.process import computing
from roundelay.plan.arms import Arm, lay
from roundelay.plan.cost import Cost, planned_bytes
from roundelay.plan.exposure import weak_places
from roundelay.plan.itinerary import as_json
from roundelay.running.starting import machine_for
from roundelay.running.timing import measure
from roundelay.site.cohort import noticed
from roundelay.study.study import Study


def check_study(study: Study, *, device: str, json_: bool) -> None:
    """Open the cohort, lay the arms, time a step; write nothing."""
    with computing(study.courier.threads, deterministic=study.recipe.deterministic):
        _check(study, device, json_)


def _check(study: Study, device: str, json_: bool) -> None:
    machine = machine_for(study, device=device)
    courier = open_courier(study, home=Path(), machine=machine, on_step=lambda _: None)
    try:
        surveys = courier.survey()
    finally:
        courier.close()
    arms = lay(study, surveys)
    cost = measure(study, arms, machine)
    notices = [*noticed(study.data), *weak_places(arms, surveys)]
    if json_:
        show.json_line(
            {
                "study": study.digest,
                "sites": [survey.as_json() for survey in surveys.values()],
                "arms": [
                    {
                        "arm": arm.label,
                        "slice_visits": arm.slice_visits,
                        "bytes": planned_bytes(study, arm.name, arm.legs, cost.baton_bytes),
                        "itinerary": as_json(arm.legs),
                    }
                    for arm in arms
                ],
                "seconds": cost.seconds,
                "memory": cost.memory,
                "notices": notices,
            }
        )
        return
    _print(study, surveys, arms, cost, str(machine))
    for notice in notices:
        show.line(f"Note: {notice}")


def _print(
    study: Study, surveys: Mapping[str, SiteSurvey], arms: list[Arm], cost: Cost, machine: str
) -> None:
    columns = ["site", *(f"{split} patients" for split in SPLITS), "training slices", "with tumour"]
    rows = [
        [
            site,
            *(str(survey.patients[split]) for split in SPLITS),
            str(survey.slices["train"]),
            str(survey.tumour_slices["train"]),
        ]
        for site, survey in surveys.items()
    ]
    show.table(f"{study.name}  (digest {study.digest[:12]})", columns, rows)
    show.line("")
    shown = [
        [
            arm.label,
            _itinerary(arm),
            f"{arm.slice_visits:,}",
            show.megabytes(planned_bytes(study, arm.name, arm.legs, cost.baton_bytes)),
        ]
        for arm in arms
    ]
    show.table(None, ["arm", "itinerary", "slice-visits", "MB"], shown)
    show.line(
        f"\nTraining and hand-overs take about {duration(cost.seconds)} here"
        f" ({cost.slices_per_second:.1f} slices/s on one step; {machine})"
        f" and {cost.memory / 1e9:.1f} GB of memory."
    )


def _itinerary(arm: Arm) -> str:
    rounds: dict[int, list[str]] = {}
    for leg in arm.legs:
        side_by_side = " + ".join(stop.site for stop in leg.stops)
        rounds.setdefault(leg.stops[0].round, []).append(
            side_by_side if leg.task == "train" else "(BatchNorm recalibration)"
        )
    shown = [" → ".join(sites) for sites in rounds.values()]
    if len(shown) > 1 and len(set(shown)) == 1:
        return f"{len(shown)} × ({shown[0]})"
    return "; ".join(shown[:3]) + (f"; … {len(shown)} rounds" if len(shown) > 3 else "")

"""``roundelay check``: what a study will do, before it does it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from roundelay.cli import results, show
from roundelay.cli.progress import duration
from roundelay.data.survey import SPLITS, SiteSurvey
from roundelay.errors import NetworkError
from roundelay.network.wire.proposal import refuse_unfit_study
from roundelay.plan.arms import Arm, drawn_slices
from roundelay.plan.cost import Cost, cached_bytes, planned_bytes
from roundelay.plan.itinerary import as_json
from roundelay.running.prepare import prepared
from roundelay.running.run_plan import RunPlan
from roundelay.running.timing import measure
from roundelay.study.study import Study


def check_study(study: Study, *, out: Path, device: str, json_: bool) -> None:
    """Prepare the run as if into `out`, time a step; write nothing."""
    with prepared(study, out, device=device, on_step=lambda _: None) as ready:
        _check(ready.plan, json_)


def _check(plan: RunPlan, json_: bool) -> None:
    study, surveys, arms, machine = plan.study, plan.surveys, plan.arms, plan.machine
    cost = measure(study, arms, machine)
    if json_:
        show.json_line(
            {
                "study": study.digest,
                "sites": [survey.as_json() for survey in surveys.values()],
                "trained_on": drawn_slices(study, surveys),
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
                "cache": cached_bytes(study, surveys),
                "left_out": [one.as_json() for one in plan.left_out],
                "notices": [*plan.notices, *in_turn_elsewhere(study, surveys)],
            }
        )
        return
    _print(study, surveys, arms, cost, str(machine))
    for notice in (*plan.notices, *in_turn_elsewhere(study, surveys)):
        show.line(f"Note: {notice}")


def in_turn_elsewhere(study: Study, surveys: Mapping[str, SiteSurvey]) -> tuple[str, ...]:
    """What is laid otherwise between hospitals, of a study that could go there."""
    if not study.recipe.recalibrate_batchnorm or study.courier.seal == "none":
        return ()
    try:
        refuse_unfit_study(study)
    except NetworkError:
        return ()
    return (
        "The itineraries are those of this machine. Submitted between hospitals under seal, the"
        f" BatchNorm recalibration goes from one to the next, {len(surveys)} hand-overs for each"
        " model in place of one leg side by side; the model is the same.",
    )


def _print(
    study: Study, surveys: Mapping[str, SiteSurvey], arms: Sequence[Arm], cost: Cost, machine: str
) -> None:
    columns = ["site", *(f"{split} patients" for split in SPLITS), "training slices", "with tumour"]
    drawn = {} if study.data.train_slices is None else drawn_slices(study, surveys)
    columns += ["trained on"] * bool(drawn)
    rows = [
        [
            site,
            *(str(survey.patients[split]) for split in SPLITS),
            str(survey.slices["train"]),
            str(survey.tumour_slices["train"]),
            *[str(drawn.get(site, 0))] * bool(drawn),
        ]
        for site, survey in surveys.items()
    ]
    show.table(f"{study.name}  (digest {study.digest[:12]})", columns, rows)
    if drawn:
        show.line(said_of_drawn(study))
    show.line("")
    shown = [
        [
            arm.label,
            _itinerary(arm),
            f"{arm.slice_visits:,}",
            results.megabytes(planned_bytes(study, arm.name, arm.legs, cost.baton_bytes)),
        ]
        for arm in arms
    ]
    show.table(None, ["arm", "itinerary", "slice-visits", "MB"], shown)
    show.line(
        f"\nTraining and hand-overs take about {duration(cost.seconds)} here"
        f" ({cost.slices_per_second:.1f} slices/s on one step; {machine})"
        f" and {cost.memory / 1e9:.1f} GB of memory."
    )
    show.line(
        f"Training slices are kept as the network sees them:"
        f" {results.megabytes(cached_bytes(study, surveys))} MB (see  roundelay cache)."
    )


def said_of_drawn(study: Study) -> str:
    """What train_slices leaves to train on."""
    return (
        f"train_slices = {study.data.train_slices}: a model trains on so many slices in all,"
        " divided as the sites have them."
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

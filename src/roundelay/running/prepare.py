"""All that is looked at before training, for `check` and `run` alike: what one refuses, both do."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.couriers import open_courier
from roundelay.errors import StudyError
from roundelay.learning.process import computing
from roundelay.plan.cost import check_room
from roundelay.plan.progress import OnStep
from roundelay.records.going_on import GoingOn
from roundelay.records.layout import STAYING, is_finished, open_run
from roundelay.relay.courier import Courier
from roundelay.running.run_plan import RunPlan, lay_run
from roundelay.running.starting import machine_for
from roundelay.study.study import Study

CourierOf = Callable[..., Courier]
"""Opens a courier: ``courier_of(study, home=, machine=, on_step=)``."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study of which nothing is left to refuse; `record` is that of a run to go on with."""

    plan: RunPlan
    courier: Courier
    record: Mapping[str, Any] | None


def refuse_all_folds(study: Study) -> None:
    """Raise StudyError for a study that is several runs, where one is asked for."""
    if study.data.folds and study.data.test_fold is None:
        raise StudyError(
            f"data.folds = {study.data.folds} is a run for each fold: run it by  roundelay run"
            " (from Python: roundelay.run_folds), or name one fold by data.test_fold."
        )


def _refuse_without_models(study: Study, going_on: GoingOn | None) -> None:
    """Raise StudyError for a study that goes on from a run which isn't at hand."""
    if study.model.goes_on_from and going_on is None:
        raise StudyError(
            "The study goes on from the models of a run with the head"
            f" {study.model.goes_on_from[:12]}: give that run's folder,  roundelay run RUN"
            f" --more-rounds {study.recipe.rounds} --out OUT, or take goes_on_from out of [model]."
        )


@contextmanager
def prepared(
    study: Study,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    on_step: OnStep,
    courier_of: CourierOf = open_courier,
    alike: Mapping[str, Any] | None = None,
    going_on: GoingOn | None = None,
) -> Iterator[Prepared]:
    """Parse study, folder, sites and first weights, and lay the arms; write nothing.

    A new run computes as `alike` did, the record of another one. The courier is open, and threads
    and deterministic mode are the study's, until the context is left. Raises UserError where the
    user can mend it.
    """
    refuse_all_folds(study)
    _refuse_without_models(study, going_on)
    with computing(study.courier.threads, deterministic=study.recipe.deterministic):
        record = open_run(study, out, resume=resume)
        machine = machine_for(study, record or alike, device)
        opened = courier_of(study, home=out / STAYING, machine=machine, on_step=on_step)
        with closing(opened) as courier:
            plan = lay_run(study, courier, machine, going_on)
            if record is None or not is_finished(out):
                check_room(out, plan.room_needed)
            yield Prepared(plan, courier, record)

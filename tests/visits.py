"""Visits of tiny synthetic patients, in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from roundelay.couriers.here import HereCourier
from roundelay.learning.machine import Machine
from roundelay.plan.progress import Step
from roundelay.study.study import Study
from surveys import study

FLOAT32 = Machine("cpu", False, False)


def toy(root: Path, arm: str = "cwt", **recipe: Any) -> Study:
    values = {"rounds": 2, "steps": 2, "batch": 2, "optimiser": "adamw", **recipe}
    return study(
        top={"arms": (arm,)},
        data={
            "root": str(root),
            "size": 32,
            "crop": "brain",
            "split": {"validation": 0.0, "test": 0.34},
        },
        model={"encoder": "resnet18_quarter"},
        recipe=values,
    )


def open_here(
    plan: Study, home: Path, on_step: Callable[[Step], None] = lambda _: None
) -> HereCourier:
    return HereCourier(plan, home=home, machine=FLOAT32, on_step=on_step)

"""What a study will cost: bytes passed, room on the disk, time and memory."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roundelay.errors import DiskFullError
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import Leg
from roundelay.study.sections import PARALLEL, RELAYS
from roundelay.study.study import Study

KEPT = 3
"""Batons and models an arm leaves on the disk at most, when only the last ones are kept."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for all arms' training and hand-overs, measured on one step and one packing; peak
    memory of that step, in bytes."""

    seconds: float
    slices_per_second: float
    memory: int
    baton_bytes: int


def check_room(out: Path, arms: Sequence[Arm], baton_bytes: int, *, keep_all: bool) -> None:
    """Raise DiskFullError where the run folder will not fit on the disk."""
    copies = sum((len(arm.legs) if keep_all else KEPT) + 1 for arm in arms)
    above = next(p for p in (out, *out.absolute().parents) if p.exists())
    free, needed = shutil.disk_usage(above).free, copies * baton_bytes
    if needed > free:
        raise DiskFullError(
            f"The run needs about {needed / 1e9:.1f} GB at {out}; {free / 1e9:.1f} GB are free."
            " Nothing was written. Make room or choose another --out."
        )


def planned_bytes(study: Study, name: str, legs: Sequence[Leg], model_bytes: int) -> int | None:
    """What an arm's batons will weigh together; None where images would have to travel.

    In a relay a baton passes once for each stop, from the site before; the last one's return is
    not counted. Side by side it goes out to every site and comes back, so twice. In a recalibration
    it goes out to every site; the sums that come back weigh next to nothing. The first baton
    carries no optimiser state and no average yet. A model that stays at home passes nothing.
    """
    if name == "local":
        return 0
    if name not in RELAYS + PARALLEL:
        return None
    recipe = study.recipe
    extra = 2 * (recipe.optimiser_state == "travel") + (recipe.average == "ema")
    full = model_bytes * (1 + extra)
    total = 0
    for leg in legs:
        sent = model_bytes if leg.index == 0 else full
        back = full if name in PARALLEL and leg.task == "train" else 0
        total += len(leg.stops) * (sent + back)
    return total

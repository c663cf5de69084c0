"""What a study will cost: bytes passed, room on the disk, time and memory."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roundelay.data.survey import TRAIN, SiteSurvey
from roundelay.errors import DiskFullError
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import IN_TURN, Leg
from roundelay.plan.keeping import kept, kept_always
from roundelay.study.sections import PARALLEL, RELAYS
from roundelay.study.study import Study


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for all arms' training and hand-overs, measured on one step and one packing; peak
    memory of that step, in bytes."""

    seconds: float
    slices_per_second: float
    memory: int
    baton_bytes: int


SEALED = 4096
"""An envelope is longer than what it holds: a head, and a wrapped key for each who may open it."""


def room_needed(
    study: Study, arms: Sequence[Arm], model_bytes: int, *, between_hospitals: bool
) -> int:
    """Bytes that a whole run writes: batons and models of every arm, and what stays at sites here.

    A baton carries what the study sends with the weights. An arm keeps the batons of `kept`, where
    all stay also those that were merged; the next one is written before another goes.
    """
    recipe = study.recipe
    moments = 2 * _in_full(study, model_bytes)
    plain = model_bytes + moments * (recipe.optimiser_state == "travel")
    plain += model_bytes * (recipe.average != "none") + SEALED * between_hospitals
    batons = [plain + _importance(study, arm.name, model_bytes) for arm in arms]
    sealed = between_hospitals and study.courier.seal == "sites"
    needed = max(batons)
    for arm, full in zip(arms, batons, strict=True):
        legs = len(arm.legs)
        stay = kept(kept_always(study, arm.legs), legs)
        needed += full * (len(stay) if stay is not None else legs + _merged(arm))
        needed += full if sealed else _in_full(study, model_bytes)
        if recipe.optimiser_state == "stay" and not between_hospitals:
            needed += 2 * moments * len({stop.site for leg in arm.legs for stop in leg.stops})
    return needed


def _importance(study: Study, name: str, model_bytes: int) -> int:
    """What the importance of each weight adds to a baton of an arm."""
    return _in_full(study, model_bytes) * (study.recipe.importance_travels and name in RELAYS)


def _in_full(study: Study, model_bytes: int) -> int:
    """The bytes of a model in float32, as nearly all of it is halved on the wire."""
    return model_bytes * (2 if study.recipe.wire == "bfloat16" else 1)


def cached_bytes(study: Study, surveys: Mapping[str, SiteSurvey]) -> int:
    """Bytes of all training slices as the network sees them, which the cache keeps."""
    pixels, data = study.data.size**2, study.data
    slices = sum(survey.slices[TRAIN] for survey in surveys.values())
    channel = pixels if data.is_lgg else 2 * pixels  # 8 bits, or half precision
    return slices * (len(data.channel_names) * channel + len(data.regions) * pixels // 8)


def _merged(arm: Arm) -> int:
    return sum(len(leg.stops) for leg in arm.legs if len(leg.stops) > 1 and leg.task == "train")


def check_room(out: Path, needed: int, *, runs: Sequence[Path] = ()) -> None:
    """Raise DiskFullError where what is still to be written does not fit on the disk.

    `runs` are the run folders below `out` that it is needed for, where it isn't one itself.
    """
    rooms = [run / room for run in (runs or (out,)) for room in ("arms", "sites")]
    there = (p for room in rooms for p in room.rglob("*") if p.is_file())
    above = next(p for p in (out, *out.absolute().parents) if p.exists())
    free, needed = shutil.disk_usage(above).free, needed - sum(p.stat().st_size for p in there)
    if needed > free:
        raise DiskFullError(
            f"The run needs about {needed / 1e9:.1f} GB more at {out}; {free / 1e9:.1f} GB are"
            " free. Nothing was written. Make room or choose another --out."
        )


def planned_bytes(study: Study, name: str, legs: Sequence[Leg], model_bytes: int) -> int | None:
    """What an arm's batons will weigh together; None where images would have to travel.

    In a relay a baton passes once for each stop, from the site before; the last one's return is
    not counted. Side by side it goes out to every site and comes back, so twice. In a recalibration
    it goes out to every site; the sums that come back, or go on, weigh next to nothing. In turn,
    it goes on without what served training. The first baton
    carries no optimiser state and no average yet, and no importance, nor does that of a
    recalibration. A model that stays at home passes nothing.
    """
    if name == "local":
        return 0
    if name not in RELAYS + PARALLEL:
        return None
    recipe = study.recipe
    full = model_bytes * (1 + (recipe.average == "ema"))
    full += 2 * _in_full(study, model_bytes) * (recipe.optimiser_state == "travel")
    total = 0
    for leg in legs:
        bare = leg.index == 0 or (leg.task == IN_TURN and leg.stops[0].weight_before > 0)
        sent = model_bytes if bare else full
        if leg.index > 0 and leg.task == "train":
            sent += _importance(study, name, model_bytes)
        back = full if name in PARALLEL and leg.task == "train" else 0
        total += len(leg.stops) * (sent + back)
    return total

"""Stops and legs: the whole itinerary, fixed and readable before training begins."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from roundelay.files.canonical import canonical_json
from roundelay.study.sections import RELAYS

Task = Literal["train", "recalibrate", "recalibrate_in_turn"]

IN_TURN: Task = "recalibrate_in_turn"
"""A recalibration in which sums travel on from site to site: nobody else can read them."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A planned turn of one site.

    `steps` batches see `slice_visits` slices. They are drawn from `slices`: how many of the
    training slices of each site that stands here (several for the arm ``pooled``).
    `first_step` of `total_steps` is the stop's place in the learning-rate schedule of its arm.
    In the last round, `weight_before` slice-visits of that round came before it (for the average
    ``last_round``). In a recalibration in turn these three count its own steps and slice-visits.
    `previous_here` is the index of the same site's last stop (for optimiser state that stays).
    """

    arm: str
    seed: int
    index: int
    round: int
    site: str
    task: Task
    slices: tuple[tuple[str, int], ...]
    slice_visits: int
    steps: int
    first_step: int
    total_steps: int
    last_round: bool = False
    weight_before: int = 0
    previous_here: int | None = None

    @property
    def slice_count(self) -> int:
        return sum(count for _, count in self.slices)

    @property
    def in_relay(self) -> bool:
        """Whether one site follows the other in its arm, whose name may end with an order."""
        return self.arm.partition("-")[0] in RELAYS

    @property
    def ends_schedule(self) -> bool:
        """Whether no step is planned after its own."""
        return self.first_step + self.steps == self.total_steps

    def __str__(self) -> str:
        return f"{self.site} (stop {self.index + 1}, round {self.round})"


@dataclass(frozen=True, slots=True)
class Leg:
    """The stops between two hand-overs: one in a relay, several side by side otherwise."""

    index: int
    stops: tuple[Stop, ...]

    @property
    def task(self) -> Task:
        return self.stops[0].task


def open_legs(legs: Sequence[Leg], run: Collection[int]) -> tuple[Leg, ...]:
    """The legs among which the next one may be chosen, in their order; empty at the end.

    `run` are the indices of those that were run. A site that is away may be put off to later in its
    round, never beyond it; a recalibration comes after all training, and one in turn in its order.
    """
    done = frozenset(run)
    left = [leg for leg in legs if leg.index not in done]
    if left and left[0].task == IN_TURN:
        return (left[0],)
    return tuple(
        leg
        for leg in left
        if (leg.stops[0].round, leg.task) == (left[0].stops[0].round, left[0].task)
    )


def as_json(legs: Sequence[Leg]) -> list[dict[str, Any]]:
    """Legs as plain JSON values."""
    return [{"index": leg.index, "stops": [asdict(stop) for stop in leg.stops]} for leg in legs]


def legs_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Leg, ...]:
    """What `as_json` made, read back. Raises KeyError or TypeError for anything else."""
    return tuple(
        Leg(
            value["index"],
            tuple(
                Stop(**{**stop, "slices": tuple((site, n) for site, n in stop["slices"])})
                for stop in value["stops"]
            ),
        )
        for value in values
    )


def digest(legs: Sequence[Leg]) -> str:
    """SHA-256 of the itinerary: the ledger's first line vouches for it."""
    return hashlib.sha256(canonical_json(as_json(legs))).hexdigest()

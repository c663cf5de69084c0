"""Stops, legs and orders: the model's whole way, fixed and readable before training begins."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal

from roundelay.atomic import canonical_json

Task = Literal["train", "calibrate"]


@dataclass(frozen=True, slots=True)
class Stop:
    """A planned turn of one site.

    `steps` batches see `slice_visits` slices. They are drawn from `slices`: how many of the
    training slices of each site that stands here (several for the arm ``pooled``).
    `first_step` of `total_steps` is the stop's place in the learning-rate schedule of its arm.
    In the last round, `weight_before` slice-visits of that round came before it (for ``trail``).
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


def order_sites(
    order: str, sites: Sequence[str], *, rounds: int, sizes: Mapping[str, int], seed: int
) -> tuple[tuple[str, ...], ...]:
    """The sites of each round.

    ``given``: as they stand; ``reversed``: backwards; ``there-and-back``: every second round
    backwards; ``size``: largest last; ``shuffled``: a fresh order each round, seeded, and no site
    twice in a row.
    """
    given = tuple(sites)
    if order == "size":
        given = tuple(sorted(given, key=lambda site: (sizes[site], site)))
    elif order == "reversed":
        given = given[::-1]
    if order == "there-and-back":
        return tuple(given[:: 1 if turn % 2 == 0 else -1] for turn in range(rounds))
    if order == "shuffled":
        return _shuffled(given, rounds, Random(f"{seed}/order"))
    return (given,) * rounds


def _shuffled(sites: tuple[str, ...], rounds: int, rng: Random) -> tuple[tuple[str, ...], ...]:
    orders: list[tuple[str, ...]] = []
    for _ in range(rounds):
        order = rng.sample(sites, k=len(sites))
        if orders and len(order) > 1 and order[0] == orders[-1][-1]:
            order.append(order.pop(0))
        orders.append(tuple(order))
    return tuple(orders)


def share(total: int, weights: Sequence[int]) -> list[int]:
    """Cut `total` into whole parts in proportion to `weights` (largest remainder), none empty.

    Raises ValueError where there are fewer units than parts.
    """
    if total < len(weights):
        raise ValueError(f"{total} can't be shared among {len(weights)}")
    sum_weights = sum(weights)
    parts = [total * weight // sum_weights for weight in weights]
    remainders = [-(total * weight % sum_weights) for weight in weights]
    for i in sorted(range(len(parts)), key=lambda i: (remainders[i], i))[: total - sum(parts)]:
        parts[i] += 1
    while 0 in parts:
        parts[parts.index(max(parts))] -= 1
        parts[parts.index(0)] += 1
    return parts


def open_legs(legs: Sequence[Leg], run: Collection[int]) -> tuple[Leg, ...]:
    """The legs among which the next one may be chosen, in their order; empty at the end.

    `run` are the indices of those that were run. A site that is away may be put off to later in its
    round, never beyond it; a calibration comes after all training.
    """
    left = [leg for leg in legs if leg.index not in run]
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

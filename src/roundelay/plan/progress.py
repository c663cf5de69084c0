"""What is told of a visit while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass

from roundelay.plan.itinerary import Stop


@dataclass(frozen=True, slots=True)
class Step:
    """Progress within a visit."""

    stop: Stop
    step: int
    loss: float
    slices_per_second: float


OnStep = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A site is waited for; `why` is empty when it is there again."""

    site: str
    why: str


Progress = Step | Waiting
OnProgress = Callable[[Progress], None]

"""One request that is being delivered, and what was heard of it."""

import time
from dataclasses import dataclass, field

from roundelay.network.wire.messages import Parts
from roundelay.network.wire.transport import Request


@dataclass(slots=True)
class Delivery:
    """One request that is being delivered.

    `moved` is when its site last did something, `heard` when something was last heard of its work,
    `start` names the site's beginning with it, `step` and `pieces` are the furthest that was told
    since.
    """

    request: Request
    step: int = -1
    pieces: int = 0
    start: str = ""
    tries: int = 0
    moved: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    present: bool = True
    answer: Parts | None = None

    def begin(self, start: str = "") -> None:
        """It was sent just now, or begun anew at its site."""
        self.moved = self.heard = time.monotonic()
        self.start, self.step, self.pieces = start, -1, 0


def moved_on(delivery: Delivery, pieces: int, step: int | float | None) -> bool:
    """Whether a state tells of a step more, of those that the request has, or of another piece
    that moved. A site that only says again and again that it works is no further."""
    more = pieces > delivery.pieces
    delivery.pieces = max(pieces, delivery.pieces)
    if isinstance(step, int) and delivery.step < step <= delivery.request.steps:
        delivery.step = step
        return True
    return more

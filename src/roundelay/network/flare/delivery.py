"""One request that is being delivered: its job, and what was heard of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roundelay.network.wire.transport import Request


@dataclass(slots=True)
class Delivery:
    """One request that is being delivered.

    `moved` is when its site last did something, `heard` when
    something was last heard of the process that works on it, `begun` whether anything was, `step`
    the furthest that was told."""

    request: Request
    step: int = -1
    job: str = ""
    tries: int = 0
    moved: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    begun: bool = False
    present: bool = True
    answer: bytes | None = None


def moved_on(delivery: Delivery, message: Mapping[str, Any]) -> bool:
    """Whether a message of progress tells of a step more, of those that the request has. A site
    that only says again and again that it works is no further."""
    step = message.get("step")
    if not isinstance(step, int) or not delivery.step < step <= delivery.request.steps:
        return False
    delivery.step = step
    return True

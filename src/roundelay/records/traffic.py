"""Bytes of models that went from one place to another, as the receipts state."""

from collections.abc import Iterable

from roundelay.relay.receipt import Receipt
from roundelay.study.sections import PARALLEL, RELAYS


def passed_bytes(name: str, receipts: Iterable[Receipt]) -> int | None:
    """What an arm's batons weighed together, as in `plan.cost.planned_bytes`."""
    if name == "local":
        return 0
    if name not in RELAYS + PARALLEL:
        return None
    return sum(
        r.sent_bytes + (r.returned_bytes if name in PARALLEL or r.task == "recalibrate" else 0)
        for r in receipts
    )

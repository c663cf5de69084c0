"""Bytes of models that go from one place to another: by arithmetic, and as the receipts state."""

from collections.abc import Iterable, Sequence

from roundelay.arms import PARALLEL, RELAYS
from roundelay.itinerary import Leg
from roundelay.ledger import Receipt
from roundelay.study import Study


def planned_bytes(study: Study, name: str, legs: Sequence[Leg], model_bytes: int) -> int | None:
    """What an arm's batons will weigh on their way; None where images would have to travel.

    In a relay a baton passes once for each stop, from the site before; the last one's way home is
    not counted. Side by side it goes out to every site and comes back, so twice. In a calibration
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


def passed_bytes(name: str, receipts: Iterable[Receipt]) -> int | None:
    """The same, of visits as they happened."""
    if name == "local":
        return 0
    if name not in RELAYS + PARALLEL:
        return None
    return sum(
        r.sent_bytes + (r.returned_bytes if name in PARALLEL or r.task != "train" else 0)
        for r in receipts
    )

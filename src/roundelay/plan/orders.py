"""The order in which a model meets the sites, round by round."""

from collections.abc import Mapping, Sequence
from random import Random


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

"""What a model knew at each hospital after every hop, and what of it was lost on the way.

``R[h, s]`` is the mean Dice of site `s`'s validation patients after hop `h`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any


@dataclass(frozen=True, slots=True)
class Hop:
    """The row of the matrix after a hand-over: `dice`, `patients` by site with validation patients.

    `leg` is the hand-over's number, from 0; `visited` are the sites that trained in that leg.
    """

    leg: int
    round: int
    visited: tuple[str, ...]
    dice: Mapping[str, float]
    patients: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What a way through the hospitals cost; None where the hops can't tell.

    `forgotten`: by site, the best R of any earlier hop less the last one (Chaudhry et al., ECCV
    2018). `backward_transfer`: the mean over sites, but for the one visited last, of the last R
    less R right after the site's own last visit (Lopez-Paz and Ranzato, NeurIPS 2017); below 0
    means forgotten. `last_site_bias`: how much better a site does right after its own visit than
    on average over the last round, as the mean over that round's visits.
    """

    forgotten: dict[str, float]
    backward_transfer: float | None
    last_site_bias: float | None

    @property
    def mean(self) -> float | None:
        return fmean(self.forgotten.values()) if self.forgotten else None


def measure_forgetting(hops: Sequence[Hop]) -> Forgetting:
    """Read the matrix of an arm, hops in order. Fewer than two hops say nothing."""
    if len(hops) < 2:
        return Forgetting({}, None, None)
    last = hops[-1]
    forgotten = {
        site: max(hop.dice[site] for hop in hops[:-1]) - value for site, value in last.dice.items()
    }
    return Forgetting(forgotten, _backward_transfer(hops), _last_site_bias(hops))


def _backward_transfer(hops: Sequence[Hop]) -> float | None:
    last = hops[-1]
    after_own = {site: hop.dice[site] for hop in hops for site in hop.visited if site in hop.dice}
    changes = [
        last.dice[site] - value for site, value in after_own.items() if site not in last.visited
    ]
    return fmean(changes) if changes else None


def _last_site_bias(hops: Sequence[Hop]) -> float | None:
    rounds = [hop for hop in hops if hop.round == hops[-1].round]
    gains = [
        hop.dice[site] - fmean(other.dice[site] for other in rounds)
        for hop in rounds
        for site in hop.visited
        if site in hop.dice and len(hop.visited) == 1
    ]
    return fmean(gains) if len(rounds) > 1 and gains else None

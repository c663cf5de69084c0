"""What a model knew at each hospital after every hand-over, and what of it was lost since.

``R[h, s]`` is the mean Dice of site `s`'s validation patients after hand-over `h`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any


@dataclass(frozen=True, slots=True)
class Validation:
    """The row of the matrix after a hand-over: `dice`, `patients` by site with validation patients.

    `leg` is the hand-over's number, from 0; `visited` are the sites that trained in that leg.
    `dice` is of the main region, `regions` has the others' by name.
    """

    leg: int
    round: int
    visited: tuple[str, ...]
    dice: Mapping[str, float]
    patients: Mapping[str, int]
    regions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As JSON; where there is one region, nothing is said of others."""
        values = asdict(self)
        if not self.regions:
            del values["regions"]
        return values

    def of_region(self, name: str) -> "Validation":
        """The same by another region than the main one."""
        return replace(self, dice=self.regions[name], regions={})


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What an itinerary lost; None where the validations can't tell.

    `forgotten`: by site, the best R of any earlier hand-over less the last one (Chaudhry et al.,
    ECCV 2018). `backward_transfer`: the mean over sites, but for the one visited last, of the last
    R less R right after the site's own last visit (Lopez-Paz and Ranzato, NeurIPS 2017); below 0
    means forgotten. `last_site_bias`: how much better a site does right after its own visit than
    on average over the last round, as the mean over that round's visits.
    """

    forgotten: dict[str, float]
    backward_transfer: float | None
    last_site_bias: float | None

    @property
    def mean(self) -> float | None:
        return fmean(self.forgotten.values()) if self.forgotten else None


def measure_forgetting(validations: Sequence[Validation]) -> Forgetting:
    """Read the matrix of an arm, validations in order. Fewer than two validations say nothing."""
    if len(validations) < 2:
        return Forgetting({}, None, None)
    last = validations[-1]
    forgotten = {
        site: max(one.dice[site] for one in validations[:-1]) - value
        for site, value in last.dice.items()
    }
    return Forgetting(forgotten, _backward_transfer(validations), _last_site_bias(validations))


def _backward_transfer(validations: Sequence[Validation]) -> float | None:
    last = validations[-1]
    after_own = {
        site: one.dice[site] for one in validations for site in one.visited if site in one.dice
    }
    changes = [
        last.dice[site] - value for site, value in after_own.items() if site not in last.visited
    ]
    return fmean(changes) if changes else None


def _last_site_bias(validations: Sequence[Validation]) -> float | None:
    last_round = [one for one in validations if one.round == validations[-1].round]
    gains = [
        one.dice[site] - fmean(other.dice[site] for other in last_round)
        for one in last_round
        for site in one.visited
        if site in one.dice and len(one.visited) == 1
    ]
    return fmean(gains) if len(last_round) > 1 and gains else None

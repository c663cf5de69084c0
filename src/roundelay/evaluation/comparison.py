"""Two methods on the same patients: how large the difference is, and whether it is noise.

A difference that another seed or other patients would turn round is no finding, so a verdict takes
several of both. Below that the figures stand alone, and it is said what is missing.

Models of one seed start from the same weights, whichever method trains them, and do well or badly
together: where both methods have the same seeds, these are pairs as patients are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_
from statistics import fmean

import numpy as np

from roundelay.evaluation.intervals import FEWEST, Interval, estimate

LEVEL = 0.05
SEEDS = 3
"""Seeds of each method below which there is neither interval nor verdict."""
PATIENTS = 10
"""Patients below which there is no verdict."""

Dice = Mapping[str, float]
"""Dice by patient."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`first` less `second` over the patients that both scored, each patient's mean over seeds.

    `seeds` are those of the method with fewer. `better` and `worse` count the patients for whom
    `first` is ahead or behind. `interval` is None for fewer than three seeds or five patients, `p`
    and `p_holm` (after Holm's correction over all comparisons) where there is no verdict.
    """

    first: str
    second: str
    seeds: int
    patients: int
    difference: float
    interval: Interval | None
    better: int
    worse: int
    p: float | None
    p_holm: float | None

    @property
    def beyond_noise(self) -> bool:
        return self.p_holm is not None and self.p_holm < LEVEL

    @property
    def no_verdict(self) -> str | None:
        """Why there is no verdict, and what would give one; None where there is."""
        return why_no_verdict(self.seeds, self.patients)

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, minus: str = "−") -> str:
        """The size first, then the verdict; figures alone where there is none."""
        within = f"{counted(self.seeds, 'seed')}, {counted(self.patients, 'patient')}"
        if self.interval:
            low, high = self.interval.low, self.interval.high
            within = (
                f"95 % interval {signed(low, minus=minus)} to {signed(high, minus=minus)}; {within}"
            )
        if self.p_holm is None:
            size = signed(self.difference, minus=minus)
            return f"{self.first} less {self.second}: {size} Dice on average ({within})."
        size = f"{abs(self.difference):.3f} Dice {'better' if self.difference >= 0 else 'worse'}"
        verdict = "more than chance explains" if self.beyond_noise else "may be chance"
        return (
            f"{self.first} is on average {size} than {self.second} ({within}), ahead in"
            f" {self.better} and behind in {self.worse}: {verdict} ({shown_p(self.p_holm)})."
        )


def why_no_verdict(seeds: int, patients: int) -> str | None:
    """The sentence for too few seeds or patients; None where there are enough of both."""
    few, needed = [], []
    if seeds < SEEDS:
        few.append(counted(seeds, "seed"))
        needed.append("three seeds (seeds = [0, 1, 2] in the study file)")
    if patients < PATIENTS:
        few.append(counted(patients, "patient"))
        needed.append("ten patients (a larger share to test in split, or more patients)")
    if not few:
        return None
    return (
        f"No verdict from {' and '.join(few)}: with others a difference may turn round."
        f" It takes at least {' and '.join(needed)}."
    )


def signed(value: float, digits: int = 3, minus: str = "−") -> str:
    """A difference with its sign; none where it is less than what is shown."""
    shown = f"{abs(value):.{digits}f}"
    if not float(shown):
        return shown
    return f"{minus if value < 0 else '+'}{shown}"


def counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def shown_p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def compare(
    methods: Mapping[str, Mapping[int, Dice]], *, paired: bool = True, seed: int = 0
) -> list[Comparison]:
    """The first method against each of the others, from the Dices of each of their seeds.

    Equal seeds are drawn as pairs, unless `paired` is False, as earlier versions judged. `seed`
    draws the resamples. Raises ValueError for methods without a patient in common.
    """
    first, *others = methods
    found = [_compare(first, name, methods, paired, seed) for name in others]
    corrected = iter(holm([c.p for c in found if c.p is not None]))
    return [c if c.p is None else replace(c, p_holm=next(corrected)) for c in found]


def _compare(
    first: str, second: str, methods: Mapping[str, Mapping[int, Dice]], paired: bool, seed: int
) -> Comparison:
    paired = paired and methods[first].keys() == methods[second].keys()
    ours, theirs = ([own for _, own in sorted(methods[name].items())] for name in (first, second))
    common = sorted(reduce(and_, (set(dice) for dice in (*ours, *theirs))))
    if not common:
        raise ValueError(f"{first} and {second} have no patient in common")
    differences = [fmean(d[p] for d in ours) - fmean(d[p] for d in theirs) for p in common]
    seeds, patients = min(len(ours), len(theirs)), len(common)
    tables = [np.array([[d[p] for p in common] for d in dices]) for dices in (ours, theirs)]
    tables = [tables[0] - tables[1]] if paired else tables
    found = estimate(*tables, seed=seed) if seeds >= SEEDS and patients >= FEWEST else None
    return Comparison(
        first=first,
        second=second,
        seeds=seeds,
        patients=patients,
        difference=fmean(differences),
        interval=found.interval(lowest=-1.0) if found else None,
        better=sum(d > 0 for d in differences),
        worse=sum(d < 0 for d in differences),
        p=None if found is None or why_no_verdict(seeds, patients) else found.p,
        p_holm=None,
    )


def holm(values: Sequence[float]) -> list[float]:
    """Holm, Scand. J. Statist. 6 (1979) 65-70: adjusted p-values, in the order given."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = highest
    return adjusted

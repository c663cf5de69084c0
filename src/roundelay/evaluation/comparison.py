"""Two methods on the same patients: how large the difference is, and whether it is noise.

A patient counts once: where an arm was trained with several seeds, the patient's Dice is the mean
over them. Wilcoxon's signed-rank test by patient, Holm's correction over all comparisons of a
study, and a bootstrap interval of the mean difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from roundelay.evaluation.summary import Interval, bootstrap_mean

LEVEL = 0.05
FEWEST = 6
"""With fewer patients the signed-rank test can't fall below 0.05, whatever they say."""

Dice = Mapping[str, float]
"""Dice by patient."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`first` less `second` over the patients that both scored.

    `better` and `worse` count the patients for whom `first` is ahead or behind. `p` is None for
    fewer than six patients; `p_holm` is `p` after Holm's correction.
    """

    first: str
    second: str
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

    def __str__(self) -> str:
        """A sentence for a clinician: the size first."""
        size = f"{abs(self.difference):.3f} Dice {'better' if self.difference >= 0 else 'worse'}"
        within = f"{self.patients} patients"
        if self.interval:
            within = (
                f"95 % interval {self.interval.low:+.3f} to {self.interval.high:+.3f}, {within}"
            )
        if self.p_holm is None:
            verdict = f"too few patients to tell it from noise (it takes {FEWEST})"
        elif self.beyond_noise:
            verdict = f"more than chance explains (p = {shown_p(self.p_holm)})"
        else:
            verdict = f"may be chance (p = {shown_p(self.p_holm)})"
        return (
            f"{self.first} is on average {size} than {self.second} ({within}), ahead in"
            f" {self.better} and behind in {self.worse}: {verdict}."
        )


def shown_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def mean_over_seeds(seeds: Sequence[Dice]) -> dict[str, float]:
    """A patient's Dice, averaged over the models of one arm."""
    return {patient: fmean(dice[patient] for dice in seeds) for patient in seeds[0]}


def compare(arms: Mapping[str, Dice], *, seed: int = 0) -> list[Comparison]:
    """The first arm against each of the others; `seed` draws the resamples of the intervals."""
    first, *others = arms
    found = [_compare(first, arms[first], name, arms[name], seed) for name in others]
    corrected = iter(holm([c.p for c in found if c.p is not None]))
    return [
        Comparison(
            c.first, c.second, c.patients, c.difference, c.interval, c.better, c.worse, c.p,
            None if c.p is None else next(corrected),
        )
        for c in found
    ]  # fmt: skip


def _compare(first: str, ours: Dice, second: str, theirs: Dice, seed: int) -> Comparison:
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise ValueError(f"{first} and {second} have no patient in common")
    differences = [ours[patient] - theirs[patient] for patient in common]
    return Comparison(
        first=first,
        second=second,
        patients=len(common),
        difference=fmean(differences),
        interval=bootstrap_mean(differences, seed),
        better=sum(d > 0 for d in differences),
        worse=sum(d < 0 for d in differences),
        p=signed_rank(differences),
        p_holm=None,
    )


def signed_rank(differences: Sequence[float]) -> float | None:
    """Wilcoxon's two-sided signed-rank test; exact for few patients without ties. None below 6."""
    if len(differences) < FEWEST:
        return None
    if not any(differences):
        return 1.0
    from scipy.stats import wilcoxon

    # Pratt keeps patients without a difference: dropping them would make noise look consistent.
    return float(wilcoxon(differences, zero_method="pratt").pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Holm, Scand. J. Statist. 6 (1979) 65-70: adjusted p-values, in the order given."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = highest
    return adjusted

"""How far a mean may be off: intervals over patients, and over seeds and patients together.

Seeds and patients are crossed, since every model scores every patient: both are resampled, each on
its own, and a resample's mean is over the cells where drawn seeds meet drawn patients (Owen, The
pigeonhole bootstrap, Annals of Applied Statistics 1 (2007) 386-411). A resample draws one seed and
one patient fewer than there are, and the interval is Student's with the resamples' standard error:
drawing all of three seeds and taking percentiles gives intervals that are far too narrow
(Hesterberg, The American Statistician 69 (2015) 371-386).
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 9999
FEWEST = 5
"""Patients below which no interval is given."""

Table = NDArray[np.float64]
"""Dice by seed (rows) and patient (columns)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval: over what it was drawn, and how it was found.

    ``bca`` is the bias-corrected and accelerated bootstrap; ``percentile`` stands in where the
    former has no answer; ``t`` is Student's with the standard error of a bootstrap; ``constant``
    says that all values are the same.
    """

    low: float
    high: float
    method: Literal["bca", "percentile", "t", "constant"]
    over: Literal["patients", "seeds and patients"] = "patients"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, or a difference of means, with its standard error and degrees of freedom."""

    mean: float
    error: float
    freedom: float

    def interval(self, *, lowest: float) -> Interval:
        """Its interval between `lowest` and 1, beyond which no mean can lie."""
        if not self.error:
            return Interval(self.mean, self.mean, "constant", "seeds and patients")
        from scipy.stats import t

        reach = float(t.isf((1 - LEVEL) / 2, self.freedom)) * self.error
        low, high = max(lowest, self.mean - reach), min(1.0, self.mean + reach)
        return Interval(low, high, "t", "seeds and patients")

    @property
    def p(self) -> float:
        """The two-sided p-value of a mean that is 0; below 0.05 where the interval leaves 0 out."""
        if not self.error:
            return float(self.mean == 0)
        from scipy.stats import t

        return float(2 * t.sf(abs(self.mean) / self.error, self.freedom))


def mean_interval(seeds: Sequence[Sequence[float]], seed: int) -> Interval | None:
    """The interval of a mean Dice, from each seed's Dice by patient; of one seed over patients.

    None below five patients. `seed` draws the resamples.
    """
    if len(seeds[0]) < FEWEST:
        return None
    if len(seeds) == 1:
        return over_patients(seeds[0], np.mean, seed)
    table = np.asarray(seeds, dtype=np.float64)
    return estimate(table[:, np.lexsort(table)], seed=seed).interval(lowest=0.0)


def median_interval(seeds: Sequence[Sequence[float]], seed: int) -> Interval | None:
    """The interval of the median over patients of each one's mean over seeds, as `mean_interval`.

    Seeds and patients are drawn as for the mean; the standard error is that of the resamples'
    medians, the degrees of freedom are the mean's.
    """
    if len(seeds[0]) < FEWEST:
        return None
    if len(seeds) == 1:
        return over_patients(seeds[0], np.median, seed)
    table = np.asarray(seeds, dtype=np.float64)
    table = table[:, np.lexsort(table)]
    error = float(_resampled([table], seed, np.median).std())
    middle, freedom = float(np.median(table.mean(axis=0))), estimate(table, seed=seed).freedom
    return Estimate(middle, error if error > 1e-12 else 0.0, freedom).interval(lowest=0.0)


def estimate(table: Table, less: Table | None = None, *, seed: int) -> Estimate:
    """The mean of a table, less that of another one over the same patients and seeds of its own.

    Of methods with the same seeds, give the table of their differences."""
    tables = [table] if less is None else [table, -less]
    by_patient = np.sum([one.mean(axis=0) for one in tables], axis=0)
    shares = [by_patient.var(ddof=1) / len(by_patient)]
    shares += [one.mean(axis=1).var(ddof=1) / len(one) for one in tables]
    sizes = [len(by_patient), *(len(one) for one in tables)]
    mean = float(by_patient.mean())
    if sum(shares) < 1e-24:  # rounding alone
        return Estimate(mean if abs(mean) > 1e-12 else 0.0, 0.0, 1.0)
    # Satterthwaite: each part of the variance counts by the seeds or patients it is known from.
    freedom = sum(shares) ** 2 / sum(v**2 / (n - 1) for v, n in zip(shares, sizes, strict=True))
    return Estimate(mean, float(_resampled(tables, seed).std()), float(freedom))


def _resampled(
    tables: Sequence[Table], seed: int, over: Callable[..., Any] = np.mean
) -> NDArray[np.float64]:
    """The mean over patients of all resamples, or what else `over` them; patients are drawn for all
    tables at once, seeds for each."""
    draw = np.random.default_rng(seed)
    patients = tables[0].shape[1]
    found = []
    for begin in range(0, RESAMPLES, 1000):
        count = min(1000, RESAMPLES - begin)
        rows = sum(
            one[draw.integers(len(one), size=(count, len(one) - 1))].mean(axis=1) for one in tables
        )
        drawn = draw.integers(patients, size=(count, patients - 1))
        picked = np.take_along_axis(np.asarray(rows), drawn, axis=1)
        found.append(over(picked, axis=1))
    return np.concatenate(found)


def over_patients(
    values: Sequence[float], statistic: Callable[..., Any], seed: int
) -> Interval | None:
    """The interval of one model's mean or median over patients; None below five of them."""
    if len(values) < FEWEST:
        return None
    if min(values) == max(values):
        return Interval(values[0], values[0], "constant")
    array = np.sort(np.asarray(values, dtype=np.float64))
    low, high = _bootstrap(array, statistic, "BCa", seed)
    if isfinite(low) and isfinite(high):
        return Interval(low, high, "bca")
    return Interval(*_bootstrap(array, statistic, "percentile", seed), "percentile")


def _bootstrap(
    values: NDArray[np.float64],
    statistic: Callable[..., Any],
    method: Literal["BCa", "percentile"],
    seed: int,
) -> tuple[float, float]:
    """Efron, JASA 82 (1987) 171-185, as in `scipy.stats.bootstrap`; NaN where BCa is degenerate."""
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # degenerate data: the caller looks for NaN
        found = bootstrap(
            (values,),
            statistic,
            n_resamples=RESAMPLES,
            batch=1000,
            vectorized=True,
            confidence_level=LEVEL,
            method=method,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return float(found.low), float(found.high)

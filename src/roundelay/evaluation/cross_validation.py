"""One method over all folds: every patient scored once a seed, by a model that never saw them.

A seed is a whole cross-validation, its models one a fold: so seeds and patients are crossed as in
a single run, and are resampled together in the same manner (`intervals`). What that can't say is
how other training patients would have turned out: the folds' training sets are nearly the same
patients, and no unbiased estimate of that part of the variance exists (Bengio and Grandvalet, JMLR
5 (2004) 1089-1105).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, stdev
from typing import Any

from roundelay.evaluation.intervals import Interval, mean_interval, median_interval
from roundelay.evaluation.judgement import ArmScores, MethodResult, scores_by_seed


@dataclass(frozen=True, slots=True)
class Dices:
    """Mean and median over patients of each one's mean over seeds; intervals over seeds and
    patients together (of one seed over patients), None below five patients."""

    mean: float
    mean_interval: Interval | None
    median: float
    median_interval: Interval | None


@dataclass(frozen=True, slots=True)
class AcrossFolds:
    """One method's patients of all folds.

    `single_seeds` are the means over patients of each seed, `spread` their standard deviation,
    None of one seed. `folds` and `sites` have the number of patients and their mean.
    """

    method: str
    patients: int
    dice: Dices
    single_seeds: tuple[float, ...]
    spread: float | None
    folds: Mapping[int, tuple[int, float]]
    sites: Mapping[str, tuple[int, float]]
    regions: Mapping[str, Dices]

    def as_json(self) -> dict[str, Any]:
        """What summary.json says of the method beside what it says of any run's."""
        counted = {
            key: {str(name): {"patients": n, "mean": mean} for name, (n, mean) in found.items()}
            for key, found in (("by_fold", self.folds), ("by_site", self.sites))
        }
        values = {
            "patients": self.patients,
            "dice_median": self.dice.median,
            "dice_median_interval": self.dice.median_interval and asdict(self.dice.median_interval),
            "seeds_spread": self.spread,
            **counted,
        }
        if self.regions:
            values["regions"] = {name: asdict(one) for name, one in self.regions.items()}
        return values


def across_folds(
    method: MethodResult, arms: Sequence[ArmScores], fold_of: Mapping[str, int]
) -> AcrossFolds:
    """What a method's scores come to, `arms` those of all folds and `fold_of` each patient's."""
    dices = {score.patient: score.dice for score in method.scores}
    by_fold: dict[int, list[float]] = {}
    for patient, dice in dices.items():
        by_fold.setdefault(fold_of[patient], []).append(dice)
    seeds = scores_by_seed(arms, method.method).values()
    return AcrossFolds(
        method=method.method,
        patients=len(dices),
        dice=_dices([[one[p] for p in dices] for one in method.dices]),
        single_seeds=method.single_seeds,
        spread=stdev(method.single_seeds) if len(method.single_seeds) > 1 else None,
        folds={fold: (len(own), fmean(own)) for fold, own in sorted(by_fold.items())},
        sites={site: (one.patients, one.mean) for site, one in method.summary.by_site.items()},
        regions={
            name: _dices([[one[p].regions[name].dice for p in dices] for one in seeds])
            for name in method.scores[0].regions
        },
    )


def _dices(seeds: Sequence[Sequence[float]]) -> Dices:
    means = [fmean(own) for own in zip(*seeds, strict=True)]
    return Dices(fmean(means), mean_interval(seeds, 0), median(means), median_interval(seeds, 0))

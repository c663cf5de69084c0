"""What the scores of many patients come to: means, medians, intervals, and the counts behind."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import fsum
from statistics import fmean, median
from typing import Any, Literal

import numpy as np

from roundelay.evaluation.dice import Overlap
from roundelay.evaluation.intervals import Interval, over_patients
from roundelay.evaluation.scores import PatientScore


@dataclass(frozen=True, slots=True)
class SiteDice:
    """Patient Dice at one site; the median is None where the site gave no scores by patient."""

    patients: int
    mean: float
    median: float | None
    mean_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Scores of a set of patients; what can't be said is None, never NaN.

    `dice_...` are over patients, each patient's slices as one volume: the main figures. Their
    intervals are over patients, and None below five of them; so are medians and intervals where
    sites gave no scores by patient. `pooled_dice` takes all slices of all patients as one.
    `positive_slice_dice` is the mean over the slices with tumour; `slice_dice` over all slices,
    two empty masks counting 1, and `slice_dice_of_empty_prediction` is the same for empty
    predictions: the first says little without the second. All slices weigh the same in the three.

    `hd95_...` are over all patients, in `unit`; the `hd95_missing` of them with exactly one empty
    mask count as the diagonal of their volume. None where units are ``mixed``.

    All of it is of the main region; `regions` has the others by name.
    """

    patients: int
    slices: int
    tumour_slices: int
    dice_mean: float
    dice_mean_interval: Interval | None
    dice_median: float | None
    dice_median_interval: Interval | None
    pooled_dice: float
    positive_slice_dice: float | None
    slice_dice: float
    slice_dice_of_empty_prediction: float
    hd95_mean: float | None
    hd95_median: float | None
    hd95_missing: int
    unit: Literal["pixels", "mm", "mixed"]
    by_site: dict[str, SiteDice]
    regions: dict[str, "Summary"] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As JSON; where there is one region, nothing is said of others."""
        values = asdict(self)
        for one in (values, *values["regions"].values()):
            if not one["regions"]:
                del one["regions"]
        return values


def summarize(scores: Sequence[PatientScore], *, seed: int = 0) -> Summary:
    """Summarize one model's scores; `seed` draws the resamples of the intervals.

    The order of the patients makes no difference. No patient at all, or a patient twice (which
    would narrow the intervals), raises `ValueError`.
    """
    _check(scores)
    dices = sorted(score.dice for score in scores)
    singly = by_patient(scores)
    units = {score.unit for score in scores}
    mixed = len(units) > 1
    slices = sum(score.slices for score in scores)
    tumour_slices = sum(score.reference_slices for score in scores)
    return Summary(
        patients=sum(score.patients for score in scores),
        slices=slices,
        tumour_slices=tumour_slices,
        dice_mean=mean_dice(scores),
        dice_mean_interval=over_patients(dices, np.mean, seed) if singly else None,
        dice_median=median(dices) if singly else None,
        dice_median_interval=over_patients(dices, np.median, seed) if singly else None,
        pooled_dice=sum((score.overlap for score in scores), Overlap(0, 0, 0)).dice,
        positive_slice_dice=_positive_slice_dice(scores, tumour_slices),
        slice_dice=fsum(score.slice_dice * score.slices for score in scores) / slices,
        slice_dice_of_empty_prediction=(slices - tumour_slices) / slices,
        hd95_mean=None if mixed else _mean(scores, "hd95"),
        hd95_median=median(score.hd95 for score in scores) if singly and not mixed else None,
        hd95_missing=sum(score.hd95_missing for score in scores),
        unit="mixed" if mixed else units.pop(),
        by_site=_by_site(scores, seed),
        regions={
            name: summarize([score.of_region(name) for score in scores], seed=seed)
            for name in scores[0].regions
        },
    )


def by_patient(scores: Sequence[PatientScore]) -> bool:
    """Whether every score is of one patient alone."""
    return all(score.patients == 1 for score in scores)


def mean_dice(scores: Sequence[PatientScore]) -> float:
    """The mean Dice over patients; a row of a whole site weighs as many as it stands for."""
    return _mean(scores, "dice")


def _mean(scores: Sequence[PatientScore], name: str) -> float:
    return fmean(
        [getattr(score, name) for score in scores], weights=[score.patients for score in scores]
    )


def _check(scores: Sequence[PatientScore]) -> None:
    if not scores:
        raise ValueError("no patient was scored, so there is nothing to summarize")
    if len({(score.site, score.patient) for score in scores}) < len(scores):
        raise ValueError("a patient was scored twice; summarize each model and seed on its own")


def _positive_slice_dice(scores: Sequence[PatientScore], tumour_slices: int) -> float | None:
    sums = [
        score.positive_slice_dice * score.reference_slices
        for score in scores
        if score.positive_slice_dice is not None
    ]
    return fsum(sums) / tumour_slices if tumour_slices else None


def site_means(scores: Sequence[PatientScore]) -> dict[str, tuple[int, float]]:
    """Patients and mean Dice by site."""
    return {
        site: (sum(score.patients for score in own), mean_dice(own))
        for site, own in _grouped(scores).items()
    }


def _grouped(scores: Sequence[PatientScore]) -> dict[str, list[PatientScore]]:
    sites = sorted({score.site for score in scores})
    return {site: [score for score in scores if score.site == site] for site in sites}


def _by_site(scores: Sequence[PatientScore], seed: int) -> dict[str, SiteDice]:
    found = {}
    for site, own in _grouped(scores).items():
        dices, singly = [score.dice for score in own], by_patient(own)
        found[site] = SiteDice(
            sum(score.patients for score in own),
            mean_dice(own),
            median(dices) if singly else None,
            over_patients(dices, np.mean, seed) if singly else None,
        )
    return found

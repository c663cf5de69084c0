"""All scores of one patient, from the two masks of the patient's whole volume."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from math import isfinite
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from roundelay.evaluation.dice import Mask, Overlap, check_masks
from roundelay.evaluation.distance import hd95, voxel_size

Unit = Literal["pixels", "mm"]


@dataclass(frozen=True, slots=True)
class RegionScore:
    """What `PatientScore` says of the main region, of another one."""

    dice: float
    hd95: float
    hd95_missing: int
    reference_slices: int
    reference_volume: float
    predicted_volume: float
    tp: int
    fp: int
    fn: int
    slice_dice: float
    slice_dice_of_empty_prediction: float
    positive_slice_dice: float | None

    def __post_init__(self) -> None:
        shares = [self.dice, self.slice_dice, self.slice_dice_of_empty_prediction]
        shares += [] if self.positive_slice_dice is None else [self.positive_slice_dice]
        sizes = (self.hd95, self.reference_volume, self.predicted_volume)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("a Dice of a region is not between 0 and 1")
        if not all(isfinite(size) and size >= 0 for size in sizes):
            raise ValueError("a distance or volume of a region is not a finite number of 0 or more")


OF_A_REGION = tuple(one.name for one in fields(RegionScore))


@dataclass(frozen=True, slots=True)
class PatientScore:
    """One patient's scores; a number that is no finite number of 0 or more raises `ValueError`.

    `dice` takes all slices as one volume. `hd95` is in `unit`; `hd95_missing` says that exactly
    one mask was empty and the diagonal of the volume was counted. `reference_slices` are the
    slices with tumour. Volumes are in mm³ where the unit is mm, else in voxels.

    `slice_dice` is the mean over all slices, a slice with two empty masks counting 1;
    `slice_dice_of_empty_prediction` is the same for empty masks. `positive_slice_dice` is
    the mean over the slices with tumour, None where there is none.
    `attributes` are what the cohort says of the patient, as text. Where a hospital gives no scores
    by patient, one row stands for several `patients`; `hd95_missing` then counts them.
    All of it is of the study's main region; `regions` has the others by name.
    """

    patient: str
    site: str
    split: str
    dice: float
    hd95: float
    hd95_missing: int
    slices: int
    reference_slices: int
    reference_volume: float
    predicted_volume: float
    tp: int
    fp: int
    fn: int
    slice_dice: float
    slice_dice_of_empty_prediction: float
    positive_slice_dice: float | None
    unit: Unit
    patients: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, RegionScore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shares = [self.dice, self.slice_dice, self.slice_dice_of_empty_prediction]
        if self.positive_slice_dice is not None:
            shares.append(self.positive_slice_dice)
        sizes = (self.hd95, self.reference_volume, self.predicted_volume)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"a Dice of a patient at site '{self.site}' is not between 0 and 1")
        if not all(isfinite(size) and size >= 0 for size in sizes):
            raise ValueError(
                f"a distance or volume of a patient at site '{self.site}' is not a finite "
                "number of 0 or more"
            )

    @property
    def overlap(self) -> Overlap:
        return Overlap(self.tp, self.fp, self.fn)

    def as_json(self) -> dict[str, Any]:
        """As JSON; where there is one region, nothing is said of others."""
        values = asdict(self)
        if not self.regions:
            del values["regions"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `as_json` gave. Raises TypeError or ValueError for anything else."""
        regions = {name: RegionScore(**one) for name, one in values.get("regions", {}).items()}
        return cls(**{**values, "regions": regions})

    def of_region(self, name: str) -> "PatientScore":
        """The same patient, scored by another region than the main one."""
        return replace(self, **asdict(self.regions[name]), regions={})


def score_regions(
    patient: str,
    site: str,
    split: str,
    prediction: Mask,
    reference: Mask,
    names: Sequence[str],
    spacing: Sequence[float] | None = None,
) -> PatientScore:
    """Score boolean masks ``[regions, slices, height, width]``, the main region first in `names`.

    What is said of each region is what `score_patient` says of it alone.
    """
    scores = [
        score_patient(patient, site, split, marked, meant, spacing)
        for marked, meant in zip(prediction, reference, strict=True)
    ]
    others = {
        name: RegionScore(**{key: getattr(score, key) for key in OF_A_REGION})
        for name, score in zip(names[1:], scores[1:], strict=True)
    }
    return replace(scores[0], regions=others)


def score_patient(
    patient: str,
    site: str,
    split: str,
    prediction: Mask,
    reference: Mask,
    spacing: Sequence[float] | None = None,
) -> PatientScore:
    """Score boolean masks ``[slices, height, width]`` of one patient.

    `spacing` is the size of a voxel in mm along these axes. Without it distances and volumes are
    in pixels, one pixel long along every axis, across slices too: doubtful as a distance where
    the thickness of a slice is not known.

    Both masks empty: Dice 1, HD95 0. One empty: Dice 0, and HD95 the diagonal of the volume.
    """
    check_masks(prediction, reference)
    if prediction.ndim != 3 or 0 in prediction.shape:
        raise ValueError(f"masks must be [slices, height, width], not {prediction.shape}")
    overlap = Overlap.of(prediction, reference)
    voxel = float(np.prod(voxel_size(3, spacing)))
    by_slice = _dice_by_slice(prediction, reference)
    tumour = reference.any(axis=(1, 2))
    return PatientScore(
        patient=patient,
        site=site,
        split=split,
        dice=overlap.dice,
        hd95=hd95(prediction, reference, spacing),
        hd95_missing=overlap.one_empty,
        slices=len(reference),
        reference_slices=int(tumour.sum()),
        reference_volume=voxel * (overlap.tp + overlap.fn),
        predicted_volume=voxel * (overlap.tp + overlap.fp),
        tp=overlap.tp,
        fp=overlap.fp,
        fn=overlap.fn,
        slice_dice=float(by_slice.mean()),
        slice_dice_of_empty_prediction=float((~tumour).mean()),
        positive_slice_dice=float(by_slice[tumour].mean()) if tumour.any() else None,
        unit="pixels" if spacing is None else "mm",
    )


def _dice_by_slice(prediction: Mask, reference: Mask) -> NDArray[np.float64]:
    shared = np.count_nonzero(prediction & reference, axis=(1, 2))
    marked = np.count_nonzero(prediction, axis=(1, 2)) + np.count_nonzero(reference, axis=(1, 2))
    return np.where(marked == 0, 1.0, 2 * shared / np.maximum(marked, 1))

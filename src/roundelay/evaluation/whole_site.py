"""One row for all patients of a site: what leaves a hospital that gives no scores by patient."""

from collections.abc import Sequence
from dataclasses import replace
from math import fsum
from statistics import fmean

from roundelay.evaluation.scores import OF_A_REGION, PatientScore, RegionScore


def as_one(scores: Sequence[PatientScore]) -> list[PatientScore]:
    """A row that stands for all of them: means by patient, sums of counts; nothing by patient.

    What `summarize` says of a mean or a count over several such rows is what it would say of the
    patients: only medians, intervals and comparisons by patient can't be had from it. All scores
    must be of one site and split; of no patient there is no row.
    """
    if not scores:
        return []
    regions = {
        name: as_one([score.of_region(name) for score in scores])[0] for name in scores[0].regions
    }
    slices, tumour = (sum(getattr(s, n) for s in scores) for n in ("slices", "reference_slices"))
    marked = [(s.positive_slice_dice, s.reference_slices) for s in scores]
    return [
        replace(
            scores[0],
            patient=f"{len(scores)} of {scores[0].site}",
            patients=len(scores),
            dice=fmean(s.dice for s in scores),
            hd95=fmean(s.hd95 for s in scores),
            hd95_missing=sum(s.hd95_missing for s in scores),
            slices=slices,
            reference_slices=tumour,
            reference_volume=fsum(s.reference_volume for s in scores),
            predicted_volume=fsum(s.predicted_volume for s in scores),
            tp=sum(s.tp for s in scores),
            fp=sum(s.fp for s in scores),
            fn=sum(s.fn for s in scores),
            slice_dice=fsum(s.slice_dice * s.slices for s in scores) / slices,
            slice_dice_of_empty_prediction=fsum(
                s.slice_dice_of_empty_prediction * s.slices for s in scores
            )
            / slices,
            positive_slice_dice=fsum(d * n for d, n in marked if d is not None) / tumour
            if tumour
            else None,
            attributes={},
            regions={
                name: RegionScore(**{key: getattr(one, key) for key in OF_A_REGION})
                for name, one in regions.items()
            },
        )
    ]

"""Scores of patients that were never there."""

from typing import Any

from roundelay.evaluation.scores import PatientScore


def patient(name: object, dice: float, *, site: str = "north", **changes: Any) -> PatientScore:
    fields = {
        "patient": str(name),
        "site": site,
        "split": "test",
        "dice": dice,
        "hd95": 4.0,
        "hd95_missing": False,
        "slices": 10,
        "reference_slices": 4,
        "reference_volume": 100.0,
        "predicted_volume": 100.0,
        "tp": 50,
        "fp": 50,
        "fn": 50,
        "slice_dice": 0.8,
        "slice_dice_of_empty_prediction": 0.6,
        "positive_slice_dice": 0.5,
        "unit": "mm",
    }
    return PatientScore(**(fields | changes))

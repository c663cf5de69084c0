"""Above which probability a pixel is tumour: chosen by validation patients, never by test ones."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from roundelay.evaluation.dice import Mask, dice
from roundelay.study.sections import PLAIN_THRESHOLD

CANDIDATES = (0.2, 0.3, 0.4, PLAIN_THRESHOLD, 0.6, 0.7, 0.8)
"""Few and fixed: a handful of patients can't tell finer ones apart."""


@dataclass(frozen=True, slots=True)
class PatientDices:
    """One validation patient's Dice by region, at each of the candidates."""

    patient: str
    site: str
    dice: Mapping[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        for found in self.dice.values():
            if len(found) != len(CANDIDATES) or not all(0 <= one <= 1 for one in found):
                raise ValueError(f"{len(CANDIDATES)} Dices between 0 and 1 belong to a region")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `as_json` gave. Raises TypeError or ValueError for anything else."""
        dices = {name: tuple(found) for name, found in values["dice"].items()}
        return cls(**{**values, "dice": dices})


def dices_at_candidates(
    likely: NDArray[np.float32], reference: Mask, names: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """By region the Dice of what lies above each candidate; probabilities and masks are ``[region,
    slice, row, column]``."""
    return {
        name: tuple(dice(own > np.float32(candidate), meant) for candidate in CANDIDATES)
        for name, own, meant in zip(names, likely, reference, strict=True)
    }


def chosen_thresholds(patients: Sequence[PatientDices]) -> dict[str, float]:
    """By region the candidate with the best mean Dice over patients; of equals the nearest to 0.5,
    then the lower. The order of the patients makes no difference. Raises ValueError for none."""
    if not patients:
        raise ValueError("no validation patient was scored, so there is no threshold to choose")
    return {name: _best(mean_dices(patients, name)) for name in patients[0].dice}


def mean_dices(patients: Sequence[PatientDices], region: str) -> tuple[float, ...]:
    """The mean over patients of a region's Dice, at each of the candidates."""
    columns = zip(*(patient.dice[region] for patient in patients), strict=True)
    return tuple(fsum(column) / len(patients) for column in columns)


def _best(means: Sequence[float]) -> float:
    def rank(number: int) -> tuple[float, float, float]:
        candidate = CANDIDATES[number]
        return -means[number], round(abs(candidate - PLAIN_THRESHOLD), 6), candidate

    return CANDIDATES[min(range(len(CANDIDATES)), key=rank)]

"""Dice of two masks, and the counts from which a Dice over many masks is pooled."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Voxels marked rightly (`tp`), wrongly (`fp`) and missed (`fn`).

    Overlaps add up: the Dice of a sum is the pooled Dice of its parts.
    """

    tp: int
    fp: int
    fn: int

    @classmethod
    def of(cls, prediction: Mask, reference: Mask) -> Self:
        """Count two boolean masks of one shape, of any number of axes."""
        check_masks(prediction, reference)
        tp = int(np.count_nonzero(prediction & reference))
        return cls(
            tp=tp,
            fp=int(np.count_nonzero(prediction)) - tp,
            fn=int(np.count_nonzero(reference)) - tp,
        )

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def dice(self) -> float:
        """2 tp / (2 tp + fp + fn), which is 1 where nothing is marked and nothing was to be."""
        marked = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / marked if marked else 1.0

    @property
    def one_empty(self) -> bool:
        """Exactly one of the two masks is empty."""
        return (self.tp + self.fp == 0) != (self.tp + self.fn == 0)


def dice(prediction: Mask, reference: Mask) -> float:
    """Dice coefficient of two boolean masks of one shape, from 0 to 1.

    Both masks empty: 1. One empty: 0. No voxel is added to numerator or denominator for
    smoothness. Other shapes or other types than boolean raise `ValueError`.

    Source: L. R. Dice, Ecology 26 (1945) 297-302.

    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    return Overlap.of(prediction, reference).dice


def check_masks(prediction: Mask, reference: Mask) -> None:
    """Raise `ValueError` unless both are boolean and of one shape.

    Probabilities are not cut here: a threshold hidden in a metric would be a second threshold.
    """
    for name, mask in (("prediction", prediction), ("reference", reference)):
        if mask.dtype != np.bool_:
            raise ValueError(f"the {name} must be boolean, not {mask.dtype}; cut it first")
    if prediction.shape != reference.shape:
        raise ValueError(
            f"prediction {prediction.shape} and reference {reference.shape} differ in shape"
        )

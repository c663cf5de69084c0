"""How the batons of a leg become the one that goes on."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from roundelay.errors import VisitError
from roundelay.files.arrays import Arrays
from roundelay.plan.itinerary import Leg
from roundelay.relay.baton import AVERAGE, MODEL, SUMS, Baton, join, part_of


def aggregate(leg: Leg, baton: Baton, returned: Sequence[Baton]) -> Baton:
    """The baton that goes on after a leg.

    Of one stop: the one returned. Of several side by side: their mean, weighted by the training
    slices of each. Of a recalibration: the model with the statistics of all sites together.
    """
    if leg.task == "recalibrate":
        return recalibrated(baton, [r.part(SUMS) for r in returned])
    if len(returned) == 1:
        return returned[0]
    return averaged(returned, [stop.slice_count for stop in leg.stops])


def averaged(batons: Sequence[Baton], weights: Sequence[int]) -> Baton:
    """The weighted mean of every floating-point array, taken in float64; the largest of counters.

    McMahan et al., AISTATS 2017, algorithm 1. All that travels is averaged: the weights,
    BatchNorm's running statistics, and the optimiser's moments where the study sends them.
    """
    opened, total = [baton.read() for baton in batons], sum(weights)
    parts, wire = [arrays for arrays, _ in opened], opened[0][1]
    mean: Arrays = {}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        if np.issubdtype(first.dtype, np.floating):
            pairs = zip(values, weights, strict=True)
            both = sum(value.astype(np.float64) * (weight / total) for value, weight in pairs)
            mean[name] = np.asarray(both, dtype=first.dtype)
        else:
            mean[name] = np.maximum.reduce(values)
    return Baton.of(mean, wire=wire)


def recalibrated(baton: Baton, sums: Sequence[Arrays]) -> Baton:
    """The model with BatchNorm statistics from the sums of all sites together.

    Each element of `sums` holds for every BatchNorm layer ``<layer>.count``, ``<layer>.sum`` and
    ``<layer>.sum_of_squares`` (float64, one value a channel). The variance is the unbiased one, as
    PyTorch keeps it. Where an average travels, it is the model that is recalibrated and goes home.
    """
    arrays, wire = baton.read()
    return join(wire, model=with_statistics(_final(arrays), reduce(added, sums)))


def added(sums: Arrays, more: Arrays) -> Arrays:
    """The sums of two sets of batches together, in float64: added site by site in one order, they
    are the same to the bit whoever adds them."""
    return {name: array + more[name] for name, array in sums.items()}


def with_statistics(model: Arrays, sums: Arrays) -> Arrays:
    """A model with BatchNorm statistics from the sums of all sites together."""
    model = dict(model)
    for key in sums:
        if not key.endswith(".count"):
            continue
        layer = key.removesuffix(".count")
        count, total, squares = (
            sums[f"{layer}.{what}"] for what in ("count", "sum", "sum_of_squares")
        )
        mean = total / count
        variance = np.maximum(squares - count * mean**2, 0.0) / np.maximum(count - 1, 1)
        for name, value in (("running_mean", mean), ("running_var", variance)):
            model[f"{layer}.{name}"] = _as_float32(value, f"{layer}.{name}")
    return model


def _as_float32(value: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        found = value.astype(np.float32)
    if not np.isfinite(found).all():
        raise VisitError(
            f"The BatchNorm recalibration of all sites together gave {name} values that aren't"
            " finite. What was handed over before is kept. The model's activations are too large:"
            " a lower learning_rate often helps, or recipe.gradient_clip; that is another study."
        )
    return found


def goes_home(baton: Baton) -> Baton:
    """Only the weights that predict; an envelope stays as it is, for those who can open it."""
    if baton.sealed:
        return baton
    arrays, wire = baton.read()
    if baton.proof is None and all(name.startswith(MODEL) for name in arrays):
        return baton  # its bytes, without a copy
    return join(wire, model=_final(arrays))


def final_model(baton: Baton) -> Arrays:
    """The weights that predict: the average where one travels, else the last hand-over's."""
    return _final(baton.arrays())


def _final(arrays: Arrays) -> Arrays:
    return {**part_of(arrays, MODEL), **part_of(arrays, AVERAGE)}

"""Whether what came fits the network of the study: names, shapes, types, finite numbers.

Each party looks for itself before it uses what another one signed.
"""

from collections.abc import Collection

import numpy as np

from roundelay.errors import LedgerError
from roundelay.files.arrays import Arrays, overflows
from roundelay.relay.baton import (
    AVERAGE,
    FULL,
    IMPORTANCE,
    MODEL,
    OPTIMISER,
    SUMS,
    Baton,
    narrow_names,
    part_of,
)
from roundelay.study.sections import Wire

SLOTS = ("exp_avg", "exp_avg_sq", "step")
"""What Adam remembers of each weight."""

TOTALS = ("count", "sum", "sum_of_squares")
"""What a BatchNorm recalibration sums up in each layer."""

LARGEST_TOTAL = 1e30
"""Those of all sites together must be numbers of 32 bits, of which the largest has 38 zeros."""

NOT_BELOW_0 = (f"{OPTIMISER}exp_avg_sq/", f"{OPTIMISER}step/", IMPORTANCE)

ROUNDING = 1e-6
"""Sums of squares of equal numbers may fall short by less than this part."""

NO_SUMS = "it does not hold the sums of the network's BatchNorm layers"

MEAN, VARIANCE = ".running_mean", ".running_var"
"""End the names of a BatchNorm layer's statistics."""


def misfit(
    baton: Baton,
    model: Arrays,
    trained: Collection[str] | None = None,
    *,
    wire: Wire = FULL,
    sums: bool = False,
) -> str | None:
    """What about a baton does not fit a network with the arrays `model`; None where all does.

    Beside the model may stand, whole or not at all, an average of it, and of the weights `trained`,
    where they are known, the optimiser's memory and the importance. With `sums` those of a
    recalibration in turn must stand there, else none may. `wire` is the study's.
    """
    try:
        arrays, came = baton.read()
    except LedgerError:
        return "these bytes are no baton"
    if came != wire:
        return f"its weights are in {came}, and the study sends {wire}"
    kinds = (MODEL, AVERAGE, OPTIMISER, IMPORTANCE, *([SUMS] if sums else []))
    parts = {part: part_of(arrays, part) for part in kinds}
    if sum(map(len, parts.values())) != len(arrays):
        return "it holds more than a model and what may travel with it"
    if fault := _unlike(parts[MODEL], model) or _unlike_beside(parts, model, trained):
        return fault
    if sums and (fault := unlike_sums(parts[SUMS], model)):
        return fault
    if name := not_finite(arrays):
        return f"{name} holds values that aren't finite"
    if name := _negative(arrays):
        return f"{name} holds negative values, which it can't"
    return None


def misfit_of_sums(baton: Baton, model: Arrays) -> str | None:
    """The same of the sums that a site gives in a BatchNorm recalibration."""
    try:
        arrays = baton.arrays()
    except LedgerError:
        return "these bytes are no baton"
    sums = part_of(arrays, SUMS)
    if len(sums) != len(arrays):
        return NO_SUMS
    return unlike_sums(sums, model)


def unlike_sums(sums: Arrays, model: Arrays) -> str | None:
    """What about the sums of a recalibration can't be those of a network with the arrays `model`;
    None where all can."""
    layers = {name.rpartition(".")[0] for name in sums}
    expected = {f"{layer}.{what}" for layer in layers for what in TOTALS}
    if not layers or sums.keys() != expected or not {f"{n}{MEAN}" for n in layers} <= model.keys():
        return NO_SUMS
    for name, array in sums.items():
        layer = name.rpartition(".")[0]
        if array.dtype != np.float64 or array.shape != model[f"{layer}{MEAN}"].shape:
            return f"{name} has another shape or type than it should have"
        if name.endswith(f".{TOTALS[0]}") and not (array >= 1).all():
            return f"{name} counts nothing"
        if not (np.abs(array) <= LARGEST_TOTAL).all():
            return f"{name} holds values that aren't finite, or as good as"
    for layer in sorted(layers):
        count, total, squares = (sums[f"{layer}.{what}"] for what in TOTALS)
        if not (squares >= total * (total / count) * (1 - ROUNDING)).all():
            return f"the sums of {layer} are of no numbers: their squares are too small"
    return None


def _unlike(arrays: Arrays, model: Arrays) -> str | None:
    if arrays.keys() != model.keys():
        return "its arrays are not those of the study's network"
    for name, array in model.items():
        if (arrays[name].shape, arrays[name].dtype) != (array.shape, array.dtype):
            return f"{name} has another shape or type than in the study's network"
    return None


def _unlike_beside(
    parts: dict[str, Arrays], model: Arrays, trained: Collection[str] | None
) -> str | None:
    """The same of what travels beside the model, where it is there."""
    if parts[AVERAGE] and (fault := _unlike(parts[AVERAGE], model)):
        return f"of the average, {fault}"
    if parts[OPTIMISER] and (fault := _unlike_memory(parts[OPTIMISER], model, trained)):
        return fault
    return _unlike_weights(parts[IMPORTANCE], model, trained) if parts[IMPORTANCE] else None


def _unlike_memory(memory: Arrays, model: Arrays, trained: Collection[str] | None) -> str | None:
    weights = {name.partition("/")[2] for name in memory} if trained is None else set(trained)
    if not weights <= model.keys() or memory.keys() != {f"{s}/{w}" for s in SLOTS for w in weights}:
        return "the optimiser's memory is not of the study's network"
    for name, array in memory.items():
        slot, _, weight = name.partition("/")
        shape = () if slot == "step" else model[weight].shape
        if array.shape != shape or array.dtype != np.float32:
            return f"the optimiser's memory of {weight} has another shape or type than the weight"
    return None


def _unlike_weights(
    importance: Arrays, model: Arrays, trained: Collection[str] | None
) -> str | None:
    known = importance.keys() if trained is None else set(trained)
    if importance.keys() != known or not known <= model.keys():
        return "the importance is not of the study's network"
    for name, array in importance.items():
        if array.shape != model[name].shape or array.dtype != np.float32:
            return f"the importance of {name} has another shape or type than the weight"
    return None


def _negative(arrays: Arrays) -> str | None:
    """The first array of variances, squares, counts or importance that has a value below 0."""
    for name, array in arrays.items():
        squares = name.startswith(NOT_BELOW_0)
        if (squares or name.endswith(VARIANCE)) and (array < 0).any():
            return name
    return None


def not_finite(arrays: Arrays, wire: Wire = FULL) -> str | None:
    """The first array that holds a value that isn't finite, or isn't on this wire; None where there
    is none."""
    narrow = narrow_names(arrays, wire)
    for name, array in arrays.items():
        if name in narrow and overflows(array):
            return name
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            return name
    return None

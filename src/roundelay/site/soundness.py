"""Weights that aren't finite, or not of this network: found where they arise, and where they come.

A loss may be finite while its gradient isn't, and one such step spoils every weight. What a site
would hand over, or keep, is looked at before; what comes in, before it is used.
"""

import numpy as np

from roundelay.errors import VisitError
from roundelay.files.arrays import Arrays
from roundelay.learning.fit import what_helps
from roundelay.relay.baton import AVERAGE, IMPORTANCE, MODEL, OPTIMISER, Baton
from roundelay.relay.fitting import not_finite
from roundelay.study.sections import Recipe


def refuse_infinite(where: object, recipe: Recipe, **parts: Arrays) -> None:
    """Raise VisitError where a part of what a visit comes to isn't finite, or wouldn't be as it
    travels: before it is handed over, and before any of it is kept."""
    for part, arrays in parts.items():
        named = {f"{part}/{name}": array for name, array in arrays.items()}
        if (name := not_finite(named)) is not None:
            raise VisitError(
                f"{where} gave values that aren't finite ({name}).\n{what_helps(recipe)}"
            )
        if (name := not_finite(named, recipe.wire)) is not None:
            raise VisitError(
                f"{where} gave weights that are too large for bfloat16, in which they would travel"
                f" (recipe.wire; {name}).\n{what_helps(recipe)}"
            )


def arrived(baton: Baton, where: object) -> Arrays:
    """All arrays of a baton that came to a site.

    Raises VisitError where one isn't finite, or what travels beside the model is not of its shape.
    Whether the model is the study's network is seen when it is loaded.
    """
    parts = baton.arrays()
    fault = None
    if (name := not_finite(parts)) is not None:
        fault = f"{name} holds values that aren't finite"
    elif (name := _misfit(parts)) is not None:
        fault = f"{name} is not of its weight's shape"
    elif (name := _negative(parts)) is not None:
        fault = f"{name} holds values below 0"
    if fault:
        raise VisitError(
            f"{where} was sent weights that can't be used: {fault}. Nothing was done with them."
            " Look at the visit before this one: its site, or its baton in the run folder, is"
            " damaged."
        )
    return parts


def _negative(parts: Arrays) -> str | None:
    """Importance below 0, which would drive weights apart."""
    for name, array in parts.items():
        if name.startswith(IMPORTANCE) and (array < 0).any():
            return name
    return None


def _misfit(parts: Arrays) -> str | None:
    """What stands beside the model and is not of the shape of the weight that it belongs to."""
    for name, array in parts.items():
        if name.startswith(AVERAGE):
            own = parts.get(MODEL + name.removeprefix(AVERAGE))
            if own is None or (own.shape, own.dtype) != (array.shape, array.dtype):
                return name
        if name.startswith(IMPORTANCE):
            own = parts.get(MODEL + name.removeprefix(IMPORTANCE))
            if own is None or (own.shape, np.dtype(np.float32)) != (array.shape, array.dtype):
                return name
        if name.startswith(OPTIMISER):
            _, _, weight = name.removeprefix(OPTIMISER).partition("/")
            own = parts.get(MODEL + weight)
            if own is None or (array.ndim and own.shape != array.shape):
                return name
    return None

"""The acceptance check: an incoming model is looked at before it is used."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from roundelay.errors import RefusedError
from roundelay.files.arrays import Arrays
from roundelay.files.writing import write_bytes
from roundelay.learning.networks import build_network
from roundelay.learning.state import model_arrays, model_shapes
from roundelay.network.hospital.policy import Acceptance
from roundelay.relay.baton import AVERAGE, IMPORTANCE, MODEL, OPTIMISER, Baton, part_of
from roundelay.relay.fitting import misfit
from roundelay.study.sections import Recipe
from roundelay.study.study import Study

KEPT = 3
"""Models in quarantine for people to look at: more would let a stranger fill the disk."""

Judge = Callable[[Baton], float | None]
"""Mean Dice of a model on the site's own validation patients; None where it has none."""


def check_incoming(
    baton: Baton,
    before: Baton | None,
    study: Study,
    acceptance: Acceptance,
    judge: Judge,
    quarantine: Path,
    *,
    sums: bool = False,
) -> None:
    """Raise RefusedError for a model that may not come in; it is put into `quarantine`.

    `before` is what this site handed over last in the same arm; `sums` says that those of the
    sites before come with it, in a recalibration in turn.
    """
    why = _fault(baton, before, study, acceptance, judge, sums=sums)
    if why is not None:
        write_bytes(quarantine / f"{baton.digest}.safetensors", baton.data)
        for old in sorted(quarantine.iterdir(), key=lambda path: path.stat().st_mtime_ns)[:-KEPT]:
            old.unlink()
        raise RefusedError(f"The incoming model was put into quarantine: {why}.")


def _fault(
    baton: Baton, before: Baton | None, study: Study, acceptance: Acceptance, judge: Judge,
    *, sums: bool,
) -> str | None:  # fmt: skip
    encoder, recipe = study.model.encoder, study.recipe
    model, trained = model_shapes(study.network)
    if fault := misfit(baton, model, trained, wire=recipe.wire, sums=sums):
        return f"{fault} (a U-Net with the encoder {encoder})"
    now = baton.arrays()
    if fault := _beside(now, recipe):
        return fault
    if before is None:
        return None
    if misfit(before, model, trained, wire=recipe.wire):
        raise RefusedError(
            "The model that this hospital handed over last is damaged in its own kit"
            " (the newest .bin in the arm's folder answers). Its operator can restore the file, or"
            " remove it: then the next model is not compared with it."
        )
    change = largest_change(now, before.arrays())
    if acceptance.change is not None and change > acceptance.change:
        return (
            f"its weights changed by {change:.1f} times their size since they left here; the policy"
            f" allows {acceptance.change:g} (acceptance.change)"
        )
    return _fall(baton, before, acceptance, judge)


def _beside(arrays: Arrays, recipe: Recipe) -> str | None:
    """What came with a model though the study does not send it."""
    if part_of(arrays, AVERAGE) and recipe.average == "none":
        return "an average of the weights came with it, which the study does not send"
    if part_of(arrays, OPTIMISER) and recipe.optimiser_state != "travel":
        return "an optimiser's memory came with it, which the study does not send"
    if part_of(arrays, IMPORTANCE) and not recipe.importance_travels:
        return "the importance of weights came with it, which the study does not send"
    return None


NEAR = 1e-4
"""Start weights differ by less between kinds of processors; the smallest are some 0.01 wide."""

STEP = {"float32": 0.0, "bfloat16": 2.0**-7}
"""By wire: the largest part of a weight between one number and the next, which near the middle of
the two another processor may round to."""


def is_start(baton: Baton, study: Study, seed: int) -> bool:
    """Whether these are the weights that a study without pretrained ones begins with."""
    arrays = baton.arrays()
    network = build_network(*study.network, seed=seed)
    own = {f"{MODEL}{name}": array for name, array in model_arrays(network).items()}
    step = STEP[study.recipe.wire]
    return arrays.keys() == own.keys() and all(
        arrays[name].shape == array.shape and np.allclose(arrays[name], array, rtol=step, atol=NEAR)
        for name, array in own.items()
    )


def _fall(baton: Baton, before: Baton, acceptance: Acceptance, judge: Judge) -> str | None:
    if acceptance.drop is None:
        return None
    now, then = judge(baton), judge(before)
    if now is None or then is None or then - now <= acceptance.drop:
        return None
    return (
        f"its Dice on this hospital's validation patients fell from {then:.2f} to {now:.2f}; the"
        f" policy allows a fall of {acceptance.drop:g} (acceptance.drop)"
    )


def largest_change(now: Arrays, then: Arrays) -> float:
    """The change of the weights, or of those that predict, where an average does."""
    changes = [relative_change(part_of(now, MODEL), part_of(then, MODEL))]
    if part_of(now, AVERAGE) or part_of(then, AVERAGE):
        changes.append(relative_change(_final(now), _final(then)))
    return max(changes)


def _final(arrays: Arrays) -> Arrays:
    return {**part_of(arrays, MODEL), **part_of(arrays, AVERAGE)}


AT_ONCE = 1 << 13
"""Weights that are compared at once: what they take stays in the processor's own memory."""


def relative_change(now: Mapping[str, np.ndarray], then: Mapping[str, np.ndarray]) -> float:
    """The norm of the difference of all trained weights over the norm they had before.

    Running statistics of BatchNorm are left out: they follow the images, not the training.
    """
    difference = size = 0.0
    for name, array in then.items():
        if np.issubdtype(array.dtype, np.floating) and ".running_" not in f".{name}":
            new, old = now[name].reshape(-1), array.reshape(-1)
            for begin in range(0, old.size, AT_ONCE):
                some = old[begin : begin + AT_ONCE].astype(np.float64)
                apart = new[begin : begin + AT_ONCE] - some
                difference += float(np.dot(apart, apart))
                size += float(np.dot(some, some))
    return math.sqrt(difference / size) if size else math.inf

"""The training loop of one visit."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from roundelay.errors import VisitError
from roundelay.learning.deep_supervision import loss_of, outputs_of
from roundelay.learning.inputs import Batch
from roundelay.learning.machine import Machine
from roundelay.learning.optimiser import Adam
from roundelay.learning.schedule import learning_rate
from roundelay.plan.itinerary import Stop
from roundelay.plan.progress import OnStep, Step
from roundelay.study.sections import Recipe


def nothing(*_: object) -> None:
    """Nothing else happens."""


def all_of(*hooks: Callable[[], None]) -> Callable[[], None]:
    """One after the other."""

    def each() -> None:
        for hook in hooks:
            hook()

    return each


@dataclass(frozen=True, slots=True)
class Hooks:
    """What else happens in a step: once the gradients are there, once the weights have moved, and
    who is told of it."""

    after_backward: Callable[[], None] = nothing
    after_step: Callable[[], None] = nothing
    on_step: OnStep = nothing


def fit(
    model: nn.Module,
    optimiser: Adam,
    batches: Iterable[Batch],
    *,
    stop: Stop,
    recipe: Recipe,
    machine: Machine,
    hooks: Hooks,
) -> float:
    """Train over the batches of a stop; return the mean loss over its slice-visits.

    Raises VisitError where the loss, or a gradient to be clipped, isn't finite: nothing of such a
    visit is handed over.
    """
    total, seen, begin, deep = 0.0, 0, time.perf_counter(), recipe.deep_supervision
    for number, (images, masks) in enumerate(batches):
        step = stop.first_step + number
        rate = learning_rate(recipe.schedule, step, stop.total_steps, recipe.learning_rate)
        optimiser.rate = rate
        set_training(model, frozen=len(images) == 1)
        images = images.to(machine.device, memory_format=machine.memory_format)
        with machine.autocast():
            outputs = outputs_of(model, images, deep)
        loss = loss_of(outputs, masks.to(machine.device), recipe.loss, deep)
        value = loss.item()
        _refuse_infinite("loss", value, stop, number, recipe)
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        hooks.after_backward()
        if recipe.gradient_clip is not None:
            norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip).item()
            # Clipped, an infinite gradient is no number any more.
            _refuse_infinite("gradient", norm, stop, number, recipe)
        optimiser.step()
        hooks.after_step()
        total, seen = total + value * len(images), seen + len(images)
        hooks.on_step(Step(stop, number + 1, value, seen / (time.perf_counter() - begin)))
    return total / seen


def what_helps(recipe: Recipe) -> str:
    """What is kept where training left the finite numbers, and what keeps it among them."""
    clip = recipe.gradient_clip
    below = f" below {clip:g}" if clip else " = 1.0"
    return (
        f"Nothing of this visit was handed over; the last baton is kept. gradient_clip{below}, a"
        f' learning_rate below {recipe.learning_rate:g} or precision = "float32" often helps: that'
        " is another study, so start it with another --out."
    )


def _refuse_infinite(what: str, value: float, stop: Stop, number: int, recipe: Recipe) -> None:
    if not math.isfinite(value):
        raise VisitError(
            f"The {what} at {stop} became {value} in step {number + 1} of {stop.steps}.\n"
            f"{what_helps(recipe)}"
        )


def set_training(model: nn.Module, *, frozen: bool) -> None:
    """Training mode. With `frozen`, BatchNorm takes its running statistics and leaves them alone.

    A batch of one slice is frozen too: at the bottleneck it may hold a single value a channel,
    which has no variance.
    """
    model.train()
    if frozen:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

"""Adam and its memory: made, read out as arrays and put back."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from roundelay.errors import ModelError
from roundelay.files.arrays import Arrays
from roundelay.learning.state import as_array
from roundelay.study.sections import Recipe

SLOTS = ("exp_avg", "exp_avg_sq", "step")


def make_optimiser(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Adam or AdamW with PyTorch's defaults; the rate is set before every step.

    It works on `in_memory_order` views of the weights: the fused step takes weights, gradients and
    moments as they lie in memory and gives wrong numbers silently where one of them lies
    otherwise than the rest.
    """
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    rate, decay = recipe.learning_rate, recipe.weight_decay
    weights = list(model.parameters())
    for weight in weights:
        if not (weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)):
            weight.data = weight.detach().contiguous()  # or the view below would be a copy
    views = [in_memory_order(weight.detach(), weight) for weight in weights]
    # One pass over the weights instead of a dozen: half the time of PyTorch's default.
    optimiser = kind(views, lr=rate, weight_decay=decay, fused=True)

    def lend(*_: Any) -> None:
        for weight, view in zip(weights, views, strict=True):
            if weight.grad is not None:
                view.grad = in_memory_order(weight.grad, weight)

    def give_back(*_: Any) -> None:
        for view in views:
            view.grad = None

    optimiser.register_step_pre_hook(lend)
    optimiser.register_step_post_hook(give_back)
    return optimiser


def in_memory_order(tensor: torch.Tensor, weight: nn.Parameter) -> torch.Tensor:
    """A weight's numbers, gradient or moments, with the axes in the order in which the weight lies
    in memory, contiguous; a view where `tensor` lies so too."""
    return (tensor if weight.is_contiguous() else tensor.permute(0, 2, 3, 1)).contiguous()


def optimiser_arrays(model: nn.Module, optimiser: torch.optim.Optimizer) -> Arrays:
    """The optimiser's memory: ``<slot>/<parameter>``; empty before its first step.

    Axes are in the weights' own order, whatever the order in memory of this machine.
    """
    arrays: Arrays = {}
    for name, weight, view in _paired(model, optimiser):
        for slot in SLOTS:
            if slot in optimiser.state[view]:
                moments = optimiser.state[view][slot]
                if moments.dim() and not weight.is_contiguous():
                    moments = moments.permute(0, 3, 1, 2)
                arrays[f"{slot}/{name}"] = as_array(moments)
    return arrays


def load_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, arrays: Arrays) -> None:
    """Put the optimiser's memory back. Raises ModelError where it does not fit the network."""
    if not arrays:
        return
    for name, weight, view in _paired(model, optimiser):
        state = {}
        for slot in SLOTS:
            array = arrays.get(f"{slot}/{name}")
            if array is None or (slot != "step" and array.shape != tuple(weight.shape)):
                raise ModelError(f"The optimiser's state does not fit the network at {name}.")
            moments = torch.from_numpy(np.array(array)).to(weight.device)
            state[slot] = in_memory_order(moments, weight) if moments.dim() else moments
        optimiser.state[view] = state


def _paired(
    model: nn.Module, optimiser: torch.optim.Optimizer
) -> Iterator[tuple[str, nn.Parameter, torch.Tensor]]:
    """Every weight by name, and the view of it that `make_optimiser` gave to the optimiser."""
    views = optimiser.param_groups[0]["params"]
    for (name, weight), view in zip(model.named_parameters(), views, strict=True):
        yield name, weight, view

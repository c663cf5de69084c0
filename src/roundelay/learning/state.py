"""Network, optimiser and average as plain arrays, and back: what a baton holds."""

from typing import Any

import numpy as np
import torch
from torch import nn

from roundelay.baton import Arrays
from roundelay.errors import ModelError
from roundelay.learning.unet import ENCODERS, build_unet
from roundelay.study import Recipe

SLOTS = ("exp_avg", "exp_avg_sq", "step")


def model_arrays(model: nn.Module) -> Arrays:
    """Weights and BatchNorm statistics as they are now, on the processor."""
    return {name: as_array(tensor) for name, tensor in model.state_dict().items()}


def as_array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().contiguous().numpy()


def load_model(encoder: str, arrays: Arrays) -> nn.Module:
    """A network with these weights, strictly. Raises ModelError where they don't fit."""
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    own = encoder in ENCODERS
    # Drawing weights only to overwrite them costs a quarter of a second a visit.
    with torch.device("meta" if own else "cpu"):
        model = build_unet(encoder, seed=0)
    try:
        model.load_state_dict(tensors, strict=True, assign=own)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2]
        raise ModelError(f"These weights are not of a U-Net with {encoder}: {first}.") from error
    return model.requires_grad_(True)


def make_optimiser(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Adam or AdamW with PyTorch's defaults; the rate is set before every step."""
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    rate, decay = recipe.learning_rate, recipe.weight_decay
    # One pass over the weights instead of a dozen: half the time of PyTorch's default.
    return kind(model.parameters(), lr=rate, weight_decay=decay, fused=True)


def optimiser_arrays(model: nn.Module, optimiser: torch.optim.Optimizer) -> Arrays:
    """The optimiser's memory: ``<slot>/<parameter>``; empty before its first step."""
    arrays: Arrays = {}
    for name, parameter in model.named_parameters():
        for slot in SLOTS:
            if slot in optimiser.state[parameter]:
                arrays[f"{slot}/{name}"] = as_array(optimiser.state[parameter][slot])
    return arrays


def load_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, arrays: Arrays) -> None:
    """Put the optimiser's memory back. Raises ModelError where it does not fit the network."""
    if not arrays:
        return
    for name, parameter in model.named_parameters():
        state = {}
        for slot in SLOTS:
            array = arrays.get(f"{slot}/{name}")
            if array is None or (slot != "step" and array.shape != tuple(parameter.shape)):
                raise ModelError(f"The optimiser's state does not fit the network at {name}.")
            state[slot] = torch.from_numpy(np.array(array)).to(parameter.device)
        optimiser.state[parameter] = state

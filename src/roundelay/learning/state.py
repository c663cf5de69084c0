"""A network as plain arrays, and back: what a baton holds."""

from typing import Any

import numpy as np
import torch
from torch import nn

from roundelay.errors import ModelError
from roundelay.files.arrays import Arrays
from roundelay.learning.networks import build_network
from roundelay.learning.unet import ENCODERS
from roundelay.study.network_shape import NetworkShape


def model_arrays(model: nn.Module) -> Arrays:
    """Weights and BatchNorm statistics as they are now, on the processor."""
    return {name: as_array(tensor) for name, tensor in model.state_dict().items()}


def as_array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().contiguous().numpy()


def model_shapes(network: NetworkShape) -> tuple[Arrays, list[str]]:
    """Arrays of the shapes and types of a network's, all zero, which take no memory; the names of
    those that are trained."""
    model = _without_weights(network)
    arrays: Arrays = {
        name: np.broadcast_to(torch.zeros((), dtype=tensor.dtype).numpy(), tuple(tensor.shape))
        for name, tensor in model.state_dict().items()
    }
    return arrays, [name for name, _ in model.named_parameters()]


def _without_weights(network: NetworkShape) -> nn.Module:
    """One of our networks has shapes alone: drawing weights only to overwrite them costs a quarter
    of a second a visit."""
    with torch.device("meta" if network.encoder in ENCODERS else "cpu"):
        return build_network(*network, seed=0)


def load_model(network: NetworkShape, arrays: Arrays) -> nn.Module:
    """A network with these weights, strictly. Raises ModelError where they don't fit."""
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    encoder = network.encoder
    own = encoder in ENCODERS
    model = _without_weights(network)
    for name, own_tensor in model.state_dict().items():
        if name in tensors and tensors[name].dtype != own_tensor.dtype:
            raise ModelError(
                f"These weights are not of a U-Net with {encoder}: {name} is"
                f" {tensors[name].dtype}, not {own_tensor.dtype}."
            )
    try:
        model.load_state_dict(tensors, strict=True, assign=own)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2]
        raise ModelError(f"These weights are not of a U-Net with {encoder}: {first}.") from error
    return model.requires_grad_(True)

"""BatchNorm's statistics as sums that sites can add: BatchNorm recalibration at one site."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from roundelay.files.arrays import Arrays
from roundelay.learning.fit import set_training
from roundelay.learning.inputs import Batch
from roundelay.learning.machine import Machine
from roundelay.learning.state import as_array


def statistics_sums(model: nn.Module, batches: Iterable[Batch], machine: Machine) -> Arrays:
    """For each BatchNorm layer ``.count``, ``.sum`` and ``.sum_of_squares`` of its input, float64.

    The network runs as in training (each batch normalised by its own statistics, save a batch of
    one) and changes nothing, so the sums of several sites add up to those of the same batches in
    one place.
    """
    sums: dict[str, torch.Tensor] = {}
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    hooks = [layer.register_forward_pre_hook(_adder(sums, name)) for name, layer in layers.items()]
    before = {name: layer.momentum for name, layer in layers.items()}
    for layer in layers.values():
        layer.momentum = 0.0
    try:
        with torch.no_grad(), machine.autocast():
            for images, _ in batches:
                set_training(model, frozen=len(images) == 1)
                model(images.to(machine.device, memory_format=machine.memory_format))
    finally:
        for hook in hooks:
            hook.remove()
        for name, layer in layers.items():
            layer.momentum = before[name]
    return {name: as_array(total) for name, total in sums.items()}


def _adder(sums: dict[str, torch.Tensor], name: str) -> Callable[[nn.Module, Any], None]:
    def add(_: nn.Module, inputs: Any) -> None:
        x: torch.Tensor = inputs[0].detach()
        x = (x.cpu() if x.device.type == "mps" else x).double()  # which has no float64
        found = {
            "count": torch.full((x.shape[1],), x.numel() / x.shape[1], dtype=torch.float64),
            "sum": x.sum(dim=(0, 2, 3)),
            "sum_of_squares": x.square().sum(dim=(0, 2, 3)),
        }
        for what, value in found.items():
            key = f"{name}.{what}"
            sums[key] = sums[key] + value if key in sums else value

    return add

"""Elastic weight consolidation: how sharply a site's loss answers to each weight.

Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017, eq. 3.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from roundelay.learning.inputs import Batch
from roundelay.learning.loss import segmentation_loss
from roundelay.learning.machine import Machine

SLICES = 32
"""How many of a visit's slices are looked at once more for it."""


def fisher(
    model: nn.Module,
    weights: Mapping[str, nn.Parameter],
    slices: Iterable[Batch],
    loss: str,
    machine: Machine,
) -> dict[str, Tensor]:
    """The diagonal of the empirical Fisher information: by weight, the mean over `slices` (batches
    of one) of the squared gradient of the loss, with the references as labels.

    BatchNorm takes its running statistics; nothing of the model changes.
    """
    found = {name: torch.zeros_like(weight.detach()) for name, weight in weights.items()}
    model.eval()
    count = 0
    for images, masks in slices:
        images = images.to(machine.device, memory_format=machine.memory_format)
        with machine.autocast():
            logits = model(images)
        value = segmentation_loss(logits, masks.to(machine.device), loss)
        gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
        for total, gradient in zip(found.values(), gradients, strict=True):
            if gradient is not None:
                total.addcmul_(gradient, gradient)
        count += 1
    return {name: total / count for name, total in found.items()}

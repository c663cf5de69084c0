"""Deep supervision: in training a U-Net also answers at a quarter and an eighth of the side.

Lee et al. 2015 (Deeply-Supervised Nets); nnU-Net trains so. The coarse answers have a head each,
which travels with the model and is not asked in prediction.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from roundelay.learning.loss import segmentation_loss

COVERED = 0.25
"""A coarse pixel belongs to a region of which it holds at least this share: thin ones stay."""


def outputs_of(model: nn.Module, images: Tensor, weight: float) -> list[Tensor]:
    """Logits ``[batch, regions, height, width]``; with a `weight`, then those at 1/4 and 1/8."""
    if not weight:
        return [model(images)]
    ours: Any = model  # a network with coarse heads is one of ours
    found: list[Tensor] = ours.at_every_scale(images)
    return found


def loss_of(outputs: list[Tensor], masks: Tensor, kind: str, weight: float) -> Tensor:
    """The mean of the loss at every scale; `weight` is that of each coarse one beside 1."""
    loss = segmentation_loss(outputs[0], masks, kind)
    if len(outputs) == 1:
        return loss
    for logits in outputs[1:]:
        coarse = coarse_masks(masks, masks.shape[-1] // logits.shape[-1])
        loss = loss + weight * segmentation_loss(logits, coarse, kind)
    return loss / (1 + weight * (len(outputs) - 1))


def coarse_masks(masks: Tensor, times: int) -> Tensor:
    """Masks ``[batch, regions, height, width]`` (0 or 1) at a side so many times smaller."""
    return (F.avg_pool2d(masks, times) >= COVERED).to(masks.dtype)

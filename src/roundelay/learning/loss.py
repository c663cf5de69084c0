"""What training makes smaller: cross-entropy by pixel, and overlap over the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

FALSE_POSITIVE, FALSE_NEGATIVE = 0.3, 0.7

SMOOTH = 1.0


def segmentation_loss(logits: Tensor, targets: Tensor, kind: str) -> Tensor:
    """``bce+dice`` or ``bce+tversky`` of ``[batch, regions, height, width]``, one value for the
    batch; overlap is the mean over regions.

    In float32 even under autocast. Overlap is taken over all pixels of the batch, so that slices
    without tumour have a gradient too. Tversky (Salehi et al. 2017) weighs a missed pixel 0.7 and
    a pixel marked wrongly 0.3; Dice weighs both 0.5. Raises ValueError for another kind or where
    the shapes differ.
    """
    logits, targets = logits.float(), targets.float()
    entropy = F.binary_cross_entropy_with_logits(logits, targets)
    if kind == "bce+dice":
        return entropy + _over_regions(logits, targets, 0.5, 0.5)
    if kind == "bce+tversky":
        return entropy + _over_regions(logits, targets, FALSE_POSITIVE, FALSE_NEGATIVE)
    raise ValueError(f"loss {kind!r} is none of bce+dice, bce+tversky")


def _over_regions(logits: Tensor, targets: Tensor, positive: float, negative: float) -> Tensor:
    regions = range(logits.shape[1])
    losses = [
        _tversky(logits[:, n : n + 1], targets[:, n : n + 1], positive, negative) for n in regions
    ]
    return torch.stack(losses).mean()


def _tversky(logits: Tensor, targets: Tensor, positive: float, negative: float) -> Tensor:
    found = torch.sigmoid(logits)
    hit = (found * targets).sum()
    wrong, missed = (found * (1 - targets)).sum(), ((1 - found) * targets).sum()
    return 1 - (hit + SMOOTH) / (hit + positive * wrong + negative * missed + SMOOTH)

"""Slices as tensors: from the cache to a batch, and from a prediction back to the whole slice."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from roundelay.data.patients import Patient
from roundelay.data.preprocessing import Frame
from roundelay.data.slice_cache import SliceCache
from roundelay.learning.augment import Augmentation, augment
from roundelay.learning.draws import Pair

Batch = tuple[torch.Tensor, torch.Tensor]


def prepared(
    draws: Iterable[list[Pair]],
    patients: tuple[Patient, ...],
    cache: SliceCache,
    settings: Augmentation | None,
    generator: torch.Generator,
) -> Iterator[Batch]:
    """Images float32 ``[batch, channels, size, size]`` and masks ``[batch, 1, size, size]``."""
    for pairs in draws:
        seen = [cache.slice(patients[i], j) for i, j in pairs]
        frames = [cache.frame(patients[i]) for i, _ in pairs]
        images = scaled(torch.from_numpy(np.stack([image for image, _ in seen])), frames)
        masks = torch.from_numpy(np.stack([mask for _, mask in seen]))[:, None].float()
        if settings is not None:
            images, masks = augment(images, masks, generator, settings)
        yield images, masks


def out_of_view(tumour: torch.Tensor, frame: Frame, shape: tuple[int, int]) -> torch.Tensor:
    """Undo `into_view`: ``[slices, 1, size, size]`` to ``[slices, height, width]``.

    `tumour` is a probability; what the network did not see has 0.
    """
    square = torch.nn.functional.interpolate(
        tumour, size=(frame.side, frame.side), mode="bilinear", align_corners=False
    )
    height, width = shape
    whole = square.new_zeros((len(tumour), height, width))
    top, left = max(frame.top, 0), max(frame.left, 0)
    bottom, right = min(frame.top + frame.side, height), min(frame.left + frame.side, width)
    whole[:, top:bottom, left:right] = square[
        :, 0, top - frame.top : bottom - frame.top, left - frame.left : right - frame.left
    ]
    return whole


def scaled(images: torch.Tensor, frames: list[Frame]) -> torch.Tensor:
    """uint8 ``[batch, size, size, channels]`` to float32 ``[batch, channels, size, size]``."""
    offset = torch.tensor([frame.offset for frame in frames])[:, :, None, None]
    scale = torch.tensor([frame.scale for frame in frames])[:, :, None, None]
    return (images.permute(0, 3, 1, 2).float() - offset) / scale

"""Slices as tensors: from the cache to a batch, and from a prediction back to the whole slice."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from roundelay.data.patients import Patient
from roundelay.data.preprocessing import CropGeometry
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
    """Images float32 ``[batch, channels, size, size]``, masks ``[batch, regions, size, size]``."""
    for pairs in draws:
        seen = [cache.slice(patients[i], j) for i, j in pairs]
        geometries = [cache.geometry(patients[i]) for i, _ in pairs]
        images = scaled(torch.from_numpy(np.stack([image for image, _ in seen])), geometries)
        masks = torch.from_numpy(np.stack([masks for _, masks in seen])).float()
        if settings is not None:
            images, masks = augment(images, masks, generator, settings)
        yield images, masks


def undo_crop(tumour: torch.Tensor, geometry: CropGeometry, shape: tuple[int, int]) -> torch.Tensor:
    """Undo `cut_slice`: ``[slices, regions, size, size]`` to ``[slices, regions, height, width]``.

    `tumour` is a probability; what the network did not see has 0.
    """
    square = torch.nn.functional.interpolate(
        tumour, size=(geometry.height, geometry.width), mode="bilinear", align_corners=False
    )
    height, width = shape
    whole = square.new_zeros((*tumour.shape[:2], height, width))
    top, left = max(geometry.top, 0), max(geometry.left, 0)
    bottom, right = (
        min(geometry.top + geometry.height, height),
        min(geometry.left + geometry.width, width),
    )
    whole[..., top:bottom, left:right] = square[
        ...,
        top - geometry.top : bottom - geometry.top,
        left - geometry.left : right - geometry.left,
    ]
    return whole


def scaled(images: torch.Tensor, geometries: list[CropGeometry]) -> torch.Tensor:
    """``[batch, size, size, channels]`` to float32 ``[batch, channels, size, size]``.

    8 bits are put on the common scale now, all other numbers are on it.
    """
    if images.dtype != torch.uint8:
        return images.permute(0, 3, 1, 2).float()
    times = images.shape[-1] // len(geometries[0].offset)  # neighbours' channels are alike
    offset = torch.tensor([times * geometry.offset for geometry in geometries])[:, :, None, None]
    scale = torch.tensor([times * geometry.scale for geometry in geometries])[:, :, None, None]
    return (images.permute(0, 3, 1, 2).float() - offset) / scale

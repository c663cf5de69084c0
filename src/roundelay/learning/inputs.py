"""Slices as tensors: from the cache to a batch, and from a prediction back to the whole slice."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

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
    if geometry.exact:
        top, left, height, width = geometry.exact
        rows = _undo_side(tumour, -2, shape[0], top, height)
        return _undo_side(rows, -1, shape[1], left, width)
    square = torch.nn.functional.interpolate(
        tumour, size=(geometry.height, geometry.width), mode="bilinear", align_corners=False
    )
    whole = square.new_zeros((*tumour.shape[:2], *shape))
    first, leftmost = max(geometry.top, 0), max(geometry.left, 0)
    bottom, right = (
        min(geometry.top + geometry.height, shape[0]),
        min(geometry.left + geometry.width, shape[1]),
    )
    whole[..., first:bottom, leftmost:right] = square[
        ...,
        first - geometry.top : bottom - geometry.top,
        leftmost - geometry.left : right - geometry.left,
    ]
    return whole


def _undo_side(
    values: torch.Tensor, axis: int, count: int, start: float, side: float
) -> torch.Tensor:
    """Along one axis, the values at the middles of `count` pixels, of which the values' side begins
    at `start` and is `side` long; 0 outside it."""
    middles, size = np.arange(count) + 0.5, values.shape[axis]
    at = ((middles - start) / side * size - 0.5).clip(0, size - 1)
    low = at.astype(int)
    seen = (middles >= start) & (middles < start + side)
    shape = [1, 1, 1, 1]
    shape[axis] = count

    def weighed(index: NDArray[np.int64], weight: NDArray[np.float64]) -> torch.Tensor:
        chosen = values.index_select(axis, torch.from_numpy(index).to(values.device))
        return chosen * torch.from_numpy(weight * seen).to(values).reshape(shape)

    high = np.minimum(low + 1, size - 1)
    return weighed(low, 1 - (at - low)) + weighed(high, at - low)


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

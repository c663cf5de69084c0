"""Augmentation in plain torch: one resampling a batch, then grey levels."""

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much slices are varied. `shift` is a share of the side; `stand_in` a probability."""

    flip: bool = True
    rotation_degrees: float = 20.0
    scale: float = 0.2
    shift: float = 0.05
    gain: float = 0.2
    offset: float = 0.2
    stand_in: float = 0.0


def augment(
    images: Tensor, masks: Tensor, generator: torch.Generator, settings: Augmentation
) -> tuple[Tensor, Tensor]:
    """Vary z-scored images ``[batch, 3, h, w]`` and masks ``[batch, 1, h, w]`` (0 or 1) alike.

    Left-right flip, rotation, scale and shift in one resampling (beyond the edge: the edge's
    value); then a gain and an offset for each image and channel; then, with `stand_in`, FLAIR
    takes the place of the first and of the third channel, as where a sequence is missing. All
    randomness is the generator's.
    """
    images, masks = _move(images, masks, generator, settings)
    gain, offset = _uniform(images, generator, 2)
    if settings.gain or settings.offset:
        images = images * (1 + settings.gain * gain) + settings.offset * offset
    if settings.stand_in:
        replaced = torch.rand(len(images), 2, generator=generator) < settings.stand_in
        flair = images[:, 1]
        first = torch.where(replaced[:, 0, None, None], flair, images[:, 0])
        third = torch.where(replaced[:, 1, None, None], flair, images[:, 2])
        images = torch.stack([first, flair, third], dim=1)
    return images, masks


def _uniform(images: Tensor, generator: torch.Generator, count: int) -> Tensor:
    shape = (count, *images.shape[:2], 1, 1)
    return torch.rand(shape, generator=generator) * 2 - 1


def _move(
    images: Tensor, masks: Tensor, generator: torch.Generator, settings: Augmentation
) -> tuple[Tensor, Tensor]:
    batch = len(images)
    draws = torch.rand(batch, 5, generator=generator) * 2 - 1
    angle = draws[:, 0] * settings.rotation_degrees * pi / 180
    zoom = 1 + draws[:, 1] * settings.scale
    mirror = torch.where(draws[:, 2] < 0, -1.0, 1.0) if settings.flip else torch.ones(batch)
    if not (angle.any() or settings.scale or settings.shift or settings.flip):
        return images, masks
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = draws[:, 3:] * 2 * settings.shift
    rows = [mirror * cos, -sin, shift[:, 0], mirror * sin, cos, shift[:, 1]]
    theta = torch.stack(rows, dim=1).reshape(batch, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    both = F.grid_sample(
        torch.cat([images, masks], dim=1), grid, padding_mode="border", align_corners=False
    )
    return both[:, :-1], (both[:, -1:] >= 0.5).float()

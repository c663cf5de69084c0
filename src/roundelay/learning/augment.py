"""Augmentation in plain torch: one resampling a batch, then grey levels."""

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far slices are varied; everything is drawn evenly within the bounds. 0 leaves as it is.

    `scale` 0.2: between 0.8 and 1.2 times. `shift` is a share of the side, to either
    end. `gain` (contrast) 0.2: likewise; `offset` (brightness) is a share of the brain's height
    above the background; `gamma` 0.3: an exponent between 1/1.3 and 1.3. `channel_dropout` is a
    probability: of each channel by itself, or, with `dropped_together`, of an image to lose one of
    these sets of channels, each as likely. `flair` is that channel's number. `neighbours` to either
    side stand behind a slice's own channels; what happens to a channel happens to theirs.
    """

    flip: bool = True
    flip_up_down: bool = False
    rotation_degrees: float = 20.0
    scale: float = 0.2
    shift: float = 0.05
    gain: float = 0.2
    offset: float = 0.1
    gamma: float = 0.3
    channel_dropout: float = 0.0
    dropped_together: tuple[tuple[int, ...], ...] = ()
    flair: int | None = 1
    neighbours: int = 0


def augment(
    images: Tensor, masks: Tensor, generator: torch.Generator, settings: Augmentation
) -> tuple[Tensor, Tensor]:
    """Vary images ``[batch, channels, h, w]`` and masks ``[batch, regions, h, w]`` (0 or 1) alike.

    Left-right flip (and up-down, if asked), rotation, scale and shift in one resampling (beyond the
    edge: its value); then grey levels, by image and channel, the background staying as it is; then,
    with `channel_dropout`, FLAIR takes the place of another channel, as where a sequence is
    missing; in a study without one, nothing does: 0, the mean.
    Both are float32. All randomness is that of `generator`, on the CPU; how much is drawn depends
    on no setting.
    """
    batch, times = len(images), 1 + 2 * settings.neighbours
    channels = images.shape[1] // times
    draws = torch.rand(batch, 4 + 4 * channels, generator=generator)
    place, levels, missing = torch.split(draws, [5, 3 * channels, channels - 1], dim=1)
    images, masks = _move(images, masks, place * 2 - 1, settings)
    if settings.gain or settings.offset or settings.gamma:
        levels = (levels * 2 - 1).reshape(batch, 3, channels, 1, 1).repeat(1, 1, times, 1, 1)
        images = _grey_levels(images, levels.to(images.device), settings)
    if settings.channel_dropout:
        parts = torch.split(images, channels, dim=1)
        dropped = _dropped(missing, channels, settings)
        images = torch.cat([_drop_channels(part, dropped, settings.flair) for part in parts], dim=1)
    return images, masks


def _move(
    images: Tensor, masks: Tensor, draws: Tensor, settings: Augmentation
) -> tuple[Tensor, Tensor]:
    mirrored = settings.flip or settings.flip_up_down
    if not (mirrored or settings.rotation_degrees or settings.scale or settings.shift):
        return images, masks
    mirror, angle, zoom = draws[:, 0], draws[:, 1], 1 + draws[:, 2] * settings.scale
    # One number between -1 and 1 tosses both coins: by its sign, and by its size.
    across_kept = ~((mirror < 0) & settings.flip)
    down_kept = ~((mirror.abs() < 0.5) & settings.flip_up_down)
    mirror, upset = (torch.where(kept, 1.0, -1.0) for kept in (across_kept, down_kept))
    angle = angle * settings.rotation_degrees * pi / 180
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = draws[:, 3:] * 2 * settings.shift  # the grid's side is 2
    aspect = images.shape[-2] / images.shape[-1]
    # From a place in the result to the place that it is read from.
    across = [mirror * cos, -upset * sin * aspect, shift[:, 0]]
    down = [mirror * sin / aspect, upset * cos, shift[:, 1]]
    theta = torch.stack(across + down, dim=1).reshape(-1, 2, 3).to(images.device)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    both = F.grid_sample(
        torch.cat([images, masks], dim=1), grid, padding_mode="border", align_corners=False
    )
    channels = images.shape[1]
    return both[:, :channels], (both[:, channels:] >= 0.5).to(masks.dtype)


def _dropped(draws: Tensor, channels: int, settings: Augmentation) -> Tensor:
    """Which channels each image loses, bool ``[batch, channels]``, from draws ``[batch, channels -
    1]``: of all but FLAIR, or but the first."""
    found = torch.zeros((len(draws), channels), dtype=torch.bool)
    if not settings.dropped_together:
        stays = 0 if settings.flair is None else settings.flair
        found[:, [n for n in range(channels) if n != stays]] = draws < settings.channel_dropout
        return found
    sets = torch.zeros((len(settings.dropped_together) + 1, channels), dtype=torch.bool)
    for number, together in enumerate(settings.dropped_together):
        sets[number, list(together)] = True
    # The one number says whether, and where it lies below the probability, which: evenly too.
    which = (draws[:, 0] / settings.channel_dropout * len(settings.dropped_together)).long()
    return sets[which.clamp_max(len(settings.dropped_together))]


def _drop_channels(images: Tensor, dropped: Tensor, flair: int | None) -> Tensor:
    """FLAIR, or 0, in the place of the `dropped` channels, bool ``[batch, channels]``."""
    instead = images.new_zeros(()) if flair is None else images[:, flair : flair + 1]
    return torch.where(dropped[:, :, None, None].to(images.device), instead, images)


def _grey_levels(images: Tensor, draws: Tensor, settings: Augmentation) -> Tensor:
    """Gamma keeps background and level, gain keeps them too, offset lifts all but the background.

    The background is the darkest value of the image's channel; the level is what is above it, each
    pixel weighted by itself: near the brain's mean, however much of the slice is background.
    """
    gain, offset, gamma = draws.unbind(1)
    background = images.amin(dim=(2, 3), keepdim=True)
    above = images - background
    total = above.sum(dim=(2, 3), keepdim=True)
    level = above.square().sum(dim=(2, 3), keepdim=True) / total.clamp_min(1e-6)
    share = (above / level.clamp_min(1e-6)).pow((1 + settings.gamma) ** gamma)
    change = settings.gain * gain * (share - 1) + settings.offset * offset
    return background + level * (share + share.clamp_max(1) * change)

"""From a patient's slices to a mask of the input's size."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.preprocessing import Preprocessing, cut_slice, geometry_of
from roundelay.data.volumes import Volume
from roundelay.learning.inputs import scaled, undo_crop
from roundelay.learning.machine import Machine

BATCH = 8

MIRRORED: tuple[list[int], ...] = ([], [-1], [-2], [-1, -2])
"""Axes along which a batch is mirrored: none, left-right, up-down, both."""


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """What prediction needs beside the weights; travels in the model file.

    `threshold` is one for all regions, or where it was chosen one for each.
    """

    preprocessing: Preprocessing
    threshold: float | tuple[float, ...]
    test_time_augmentation: bool
    images: ImageSettings = LGG_SETTINGS


def predict(
    model: nn.Module, volume: Volume, settings: InferenceSettings, machine: Machine
) -> NDArray[np.bool_]:
    """A volume's regions, bool ``[region, slice, row, column]``: where the probability is above the
    threshold.

    No post-processing. With `test_time_augmentation`, the probability is the mean over the slice
    and its mirror images along either axis and both.
    """
    found = [
        (part > _threshold(settings, part)).cpu().numpy()
        for part in _probabilities(model, volume, settings, machine)
    ]
    return np.moveaxis(np.concatenate(found), 1, 0)


def _threshold(settings: InferenceSettings, part: torch.Tensor) -> float | torch.Tensor:
    """What probabilities ``[slices, regions, row, column]`` are held against."""
    if isinstance(settings.threshold, float):
        return settings.threshold
    return torch.tensor(settings.threshold, dtype=part.dtype, device=part.device)[:, None, None]


def marked_by(likely: NDArray[np.float32], settings: InferenceSettings) -> NDArray[np.bool_]:
    """What of probabilities ``[region, slice, row, column]`` lies above the threshold."""
    if isinstance(settings.threshold, float):
        return likely > settings.threshold
    return likely > np.array(settings.threshold, np.float32)[:, None, None, None]


def predict_probabilities(
    model: nn.Module, volume: Volume, settings: InferenceSettings, machine: Machine
) -> NDArray[np.float32]:
    """The probability of each region, ``[region, slice, row, column]``, of which `predict` is what
    lies above the threshold; 0 where the network saw nothing."""
    found = [
        part.float().cpu().numpy() for part in _probabilities(model, volume, settings, machine)
    ]
    return np.moveaxis(np.concatenate(found), 1, 0)


def _probabilities(
    model: nn.Module, volume: Volume, settings: InferenceSettings, machine: Machine
) -> Iterator[torch.Tensor]:
    """``[slices, regions, row, column]``, a few slices at a time."""
    geometry, images = geometry_of(volume, settings.preprocessing), volume.slices
    mirrored = MIRRORED if settings.test_time_augmentation else MIRRORED[:1]
    seen_with = settings.preprocessing.seen_with

    @lru_cache(maxsize=BATCH)
    def cut(number: int) -> NDArray[Any]:
        return cut_slice(images[number], geometry, settings.preprocessing.size)

    model.eval()
    for first in range(0, len(images), BATCH):
        with torch.inference_mode(), machine.autocast():
            part = [
                np.concatenate([cut(n) for n in seen_with(number, len(images))], axis=-1)
                for number in range(first, min(first + BATCH, len(images)))
            ]
            batch = scaled(torch.from_numpy(np.stack(part)), [geometry] * len(part))
            batch = batch.to(machine.device, memory_format=machine.memory_format)
            tumour = sum(
                torch.sigmoid(model(batch.flip(axes)).float()).flip(axes) / len(mirrored)
                for axes in mirrored
            )
            whole = undo_crop(torch.as_tensor(tumour), geometry, images.shape[1:3])
        yield whole

"""From a patient's slices to a mask of the input's size."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from roundelay.data.preprocessing import View, frame_of, into_view
from roundelay.learning.inputs import out_of_view, scaled
from roundelay.learning.machine import Machine

BATCH = 8

MIRRORED: tuple[list[int], ...] = ([], [-1], [-2], [-1, -2])
"""Axes along which a batch is mirrored: none, left-right, up-down, both."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What prediction needs beside the weights; travels in the model file."""

    view: View
    threshold: float
    flips: bool


def predict(
    model: nn.Module, images: NDArray[np.uint8], reading: Reading, machine: Machine
) -> NDArray[np.bool_]:
    """From uint8 ``[slices, height, width, channels]`` to bool ``[slices, height, width]``.

    No post-processing. With `flips`, the probability is the mean over the slice and its mirror
    images along either axis and both.
    """
    frame = frame_of(images, reading.view)
    model.eval()
    found = []
    with torch.inference_mode(), machine.autocast():
        for first in range(0, len(images), BATCH):
            part = [
                into_view(image, frame, reading.view.size)
                for image in images[first : first + BATCH]
            ]
            batch = scaled(torch.from_numpy(np.stack(part)), [frame] * len(part))
            batch = batch.to(machine.device, memory_format=machine.memory_format)
            views = MIRRORED if reading.flips else MIRRORED[:1]
            tumour = sum(
                torch.sigmoid(model(batch.flip(axes)).float()).flip(axes) / len(views)
                for axes in views
            )
            whole = out_of_view(torch.as_tensor(tumour), frame, images.shape[1:3])
            found.append((whole > reading.threshold).cpu().numpy())
    return np.concatenate(found)

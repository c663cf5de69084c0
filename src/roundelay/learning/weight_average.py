"""An average of weights that travels with the model and goes home in its place."""

import numpy as np
import torch
from torch import nn

from roundelay.files.arrays import Arrays
from roundelay.learning.state import model_arrays
from roundelay.plan.itinerary import Stop
from roundelay.study.sections import Recipe

DECAY = 0.98
"""What a step leaves of the exponential average, where the study names nothing else."""


class WeightAverage:
    """``ema``: exponential, a step at a time. ``last_round``: of the last round's hand-overs.

    It weighs each hand-over by its slice-visits: a <- (1 - b) a + b w, with b the visit's
    slice-visits over those of the round so far. Integers (``num_batches_tracked``) are the latest.
    """

    def __init__(self, recipe: Recipe, stop: Stop, model: nn.Module, arrived: Arrays) -> None:
        self._kind, self._decay, self._stop = recipe.average, recipe.average_decay or DECAY, stop
        self._model = model
        self._arrays = arrived
        self._tensors: dict[str, torch.Tensor] = {}
        if self._kind == "ema":
            source = model.state_dict()
            if arrived:
                self._tensors = {
                    name: torch.from_numpy(np.array(a)).to(source[name].device)
                    for name, a in arrived.items()
                }

    def after_step(self) -> None:
        if self._kind != "ema":
            return
        now = self._model.state_dict()
        if not self._tensors:
            self._tensors = {name: tensor.detach().clone() for name, tensor in now.items()}
            return
        for name, tensor in now.items():
            if tensor.is_floating_point():
                self._tensors[name].lerp_(tensor, 1 - self._decay)
            else:
                self._tensors[name].copy_(tensor)

    def after_visit(self) -> None:
        if self._kind != "last_round" or not self._stop.last_round:
            return
        now, before = model_arrays(self._model), self._arrays
        if self._stop.weight_before and before:
            share = self._stop.slice_visits / (self._stop.weight_before + self._stop.slice_visits)
            now = {
                name: ((1 - share) * before[name] + share * array).astype(array.dtype)
                if array.dtype.kind == "f"
                else array
                for name, array in now.items()
            }
        self._arrays = now

    def arrays(self) -> Arrays:
        """What travels: empty as long as there is no average."""
        if self._kind == "ema":
            return {
                name: t.detach().cpu().contiguous().numpy() for name, t in self._tensors.items()
            }
        return self._arrays

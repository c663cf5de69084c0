"""What was learned before stays: weights that mattered at the sites before are pulled back.

To a visit's loss is added ``c * sum(importance * (w - w_sent)^2)``: synaptic intelligence with c
the strength, elastic weight consolidation with half of it. `w_sent` are the weights that the visit
began with. The importance of all visits before is one sum (Zenke et al. 2017, eq. 4; for the Fisher
information "online EWC", Schwarz et al., ICML 2018), which travels in the baton.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from roundelay.errors import ModelError
from roundelay.files.arrays import Arrays
from roundelay.learning.fisher import fisher
from roundelay.learning.inputs import Batch
from roundelay.learning.machine import Machine
from roundelay.learning.path_integral import PathIntegral
from roundelay.learning.state import as_array
from roundelay.plan.itinerary import Stop
from roundelay.study.sections import Recipe

STRENGTH = {"si": 0.5, "ewc": 50.0}
"""What `remember_strength` is where a study names none: pulls of about the same size."""


class Remembering:
    """The pull of one visit, and the importance that it hands on; nothing outside of relays."""

    def __init__(
        self, recipe: Recipe, stop: Stop, model: nn.Module, arrived: Arrays, *, hands_on: bool
    ) -> None:
        """`arrived` is the importance by weight of all visits before; empty at the first one.

        Raises ModelError where it does not fit the network.
        """
        asked = recipe.importance_travels and stop.in_relay
        self._recipe, self._model = recipe, model
        self._weights = dict(model.named_parameters()) if asked else {}
        self._importance = _loaded(arrived, self._weights)
        self._sent = {name: w.detach().clone() for name, w in self._weights.items()}
        self._hands_on = asked and hands_on
        self._path: PathIntegral | None = None
        if self._hands_on and recipe.remember == "si":
            self._path = PathIntegral(self._weights)

    @property
    def _pull(self) -> float:
        """What a gradient gets for each unit of importance and of distance."""
        given = self._recipe.remember_strength
        strength = STRENGTH[self._recipe.remember] if given is None else given
        return 2 * strength if self._recipe.remember == "si" else strength

    def after_backward(self) -> None:
        """Note the loss's own gradients, then add those of the pull."""
        if self._path is not None:
            self._path.before_step()
        for name, importance in self._importance.items():
            weight = self._weights[name]
            if weight.grad is not None:
                distance = weight.detach() - self._sent[name]
                weight.grad.addcmul_(importance, distance, value=self._pull)

    def after_step(self) -> None:
        if self._path is not None:
            self._path.after_step()

    def after_visit(self, slices: Callable[[], Iterable[Batch]], machine: Machine) -> None:
        """Add this visit's importance; after the last visit it travels no further.

        `slices` gives some of the visit's slices one by one, where they are needed.
        """
        if not self._hands_on:
            self._importance = {}
            return
        if self._path is not None:
            own = self._path.importance(self._sent)
        else:
            own = fisher(self._model, self._weights, slices(), self._recipe.loss, machine)
        before = self._importance
        self._importance = {n: before[n] + one if before else one for n, one in own.items()}

    def arrays(self) -> Arrays:
        """What travels: float32 by weight; empty as long as there is none."""
        return {name: as_array(tensor) for name, tensor in self._importance.items()}


def _loaded(arrived: Arrays, weights: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    if not arrived or not weights:
        return {}
    if arrived.keys() != weights.keys():
        raise ModelError("The importance that came is not of this network's weights.")
    found = {}
    for name, weight in weights.items():
        if arrived[name].shape != tuple(weight.shape):
            raise ModelError(f"The importance that came does not fit the network at {name}.")
        there = torch.empty_like(weight.detach())  # lies in memory as the weight does
        found[name] = there.copy_(torch.from_numpy(np.array(arrived[name])))
    return found

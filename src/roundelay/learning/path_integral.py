"""Synaptic intelligence: how much each weight's moves lowered the loss of a visit.

Zenke, Poole, Ganguli, "Continual learning through synaptic intelligence", ICML 2017, eq. 3 to 5.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

DAMPING = 1e-3
"""xi in eq. 5: what keeps a weight that hardly moved from counting without end."""


class PathIntegral:
    """Adds up ``-gradient * move`` of every step, by weight: the loss that its moves took away.

    The gradient is that of the loss alone, before anything is added to it or it is clipped; the
    move is the whole step of the optimiser.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter]) -> None:
        self._weights = weights
        self._lowered = {n: torch.zeros_like(w.detach()) for n, w in weights.items()}
        self._before = {n: torch.empty_like(w.detach()) for n, w in weights.items()}
        self._gradient = {n: torch.empty_like(w.detach()) for n, w in weights.items()}

    @torch.no_grad()
    def before_step(self) -> None:
        """Note weights and gradients as the loss gave them."""
        for name, weight in self._weights.items():
            self._before[name].copy_(weight)
            if weight.grad is None:
                self._gradient[name].zero_()
            else:
                self._gradient[name].copy_(weight.grad)

    @torch.no_grad()
    def after_step(self) -> None:
        """Add what the step that was just made took away."""
        for name, weight in self._weights.items():
            move = weight - self._before[name]
            self._lowered[name].addcmul_(self._gradient[name], move, value=-1)

    @torch.no_grad()
    def importance(self, sent: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``max(lowered, 0) / (distance^2 + xi)`` by weight, with the distance from `sent`, the
        weights that the visit began with. Where a weight's moves raised the loss, it counts 0."""
        return {
            name: self._lowered[name].clamp(min=0) / ((weight - sent[name]).square() + DAMPING)
            for name, weight in self._weights.items()
        }

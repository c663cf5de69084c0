"""Adam and its memory: made, read out as arrays and put back."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from roundelay.errors import ModelError
from roundelay.files.arrays import Arrays
from roundelay.learning.state import as_array
from roundelay.study.sections import Recipe

SLOTS = ("exp_avg", "exp_avg_sq", "step")


class Adam:
    """Adam or AdamW with PyTorch's defaults, by its function instead of its class: the same fused
    step, to the bit. The class loads `torch._dynamo`, seconds of every process that trains.

    It works on `in_memory_order` views of the weights: the fused step takes weights, gradients and
    moments as they lie in memory and gives wrong numbers silently where one of them lies
    otherwise than the rest.
    """

    def __init__(self, recipe: Recipe, model: nn.Module) -> None:
        self.rate = recipe.learning_rate
        self._decay, self._decoupled = recipe.weight_decay, recipe.optimiser == "adamw"
        self.weights = dict(model.named_parameters())
        for weight in self.weights.values():
            if not _lies_usually(weight):
                weight.data = weight.detach().contiguous()  # or the views would be copies
        self._views = {n: in_memory_order(w.detach(), w) for n, w in self.weights.items()}
        self.memory: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """One step of all weights that have a gradient."""
        weights = {name: w for name, w in self.weights.items() if w.grad is not None}
        for name in weights.keys() - self.memory.keys():
            self.memory[name] = _before_any_step(self._views[name])
        memory = [self.memory[name] for name in weights]
        adam(
            [self._views[name] for name in weights],
            [in_memory_order(w.grad, w) for w in weights.values() if w.grad is not None],
            [slots["exp_avg"] for slots in memory],
            [slots["exp_avg_sq"] for slots in memory],
            [],
            [slots["step"] for slots in memory],
            fused=True,  # one pass over the weights instead of a dozen: half the time
            decoupled_weight_decay=self._decoupled,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            maximize=False,
            lr=self.rate,
            weight_decay=self._decay,
        )


def _lies_usually(weight: Tensor) -> bool:
    return weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)


def _before_any_step(view: Tensor) -> dict[str, Tensor]:
    step = torch.zeros((), dtype=torch.float32, device=view.device)
    return {"exp_avg": torch.zeros_like(view), "exp_avg_sq": torch.zeros_like(view), "step": step}


def in_memory_order(tensor: Tensor, weight: nn.Parameter) -> Tensor:
    """A weight's numbers, gradient or moments, with the axes in the order in which the weight lies
    in memory, contiguous; a view where `tensor` lies so too."""
    return (tensor if weight.is_contiguous() else tensor.permute(0, 2, 3, 1)).contiguous()


def optimiser_arrays(optimiser: Adam) -> Arrays:
    """The optimiser's memory: ``<slot>/<parameter>``; empty before its first step.

    Axes are in the weights' own order, whatever the order in memory of this machine.
    """
    arrays: Arrays = {}
    for name, state in optimiser.memory.items():
        for slot, moments in state.items():
            turned = moments.dim() and not optimiser.weights[name].is_contiguous()
            arrays[f"{slot}/{name}"] = as_array(moments.permute(0, 3, 1, 2) if turned else moments)
    return arrays


def load_optimiser(optimiser: Adam, arrays: Arrays) -> None:
    """Put the optimiser's memory back. Raises ModelError where it does not fit the network."""
    if not arrays:
        return
    for name, weight in optimiser.weights.items():
        state = {}
        for slot in SLOTS:
            array = arrays.get(f"{slot}/{name}")
            if array is None or (slot != "step" and array.shape != tuple(weight.shape)):
                raise ModelError(f"The optimiser's state does not fit the network at {name}.")
            moments = torch.from_numpy(np.array(array)).to(weight.device)
            state[slot] = in_memory_order(moments, weight) if moments.dim() else moments
        optimiser.memory[name] = state

"""Where the time of a network goes, by layer kind: in training and in prediction, as they run.

One clock runs, and every moment belongs to one kind: hooks turn it over where a layer begins and
ends, and in the backward pass where the gradients of another layer's turn come. Nothing is timed
apart from the rest, so caches, threads and memory are those of a real step.
"""

import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

Kind = tuple[str, str]
"""What the clock counts for: a kind of layer, and ``forward`` or ``backward``."""

STEM, HEAD, UPSAMPLED = "stem", "head", "3 x 3 on upsampled"
POINTWISE, STRIDED = "1 x 1", "1 x 1, stride 2"
GROUPED, DEPTHWISE, DENSE, DECODER = "grouped", "depthwise", "3 x 3, encoder", "3 x 3, decoder"
NORM, LOSS, OPTIMISER, REST = "BatchNorm, ReLU, shortcut", "loss", "optimiser", "around"

KINDS = (
    STEM, STRIDED, POINTWISE, GROUPED, DEPTHWISE, DENSE, UPSAMPLED, DECODER, HEAD, NORM, LOSS,
    OPTIMISER, REST,
)  # fmt: skip
"""`NORM` is all in the network that is no convolution, max-pooling too; `UPSAMPLED` the decoder's
first convolutions with the upsampling and the concatenation before them, which the program makes
in one where that is faster. `LOSS` counts both passes; `REST` is what stands around the network:
making batches, putting a mask back to the size of its image, the clock itself."""


def kind_of_convolution(name: str, kernel: int, stride: int, groups: int, channels: int) -> str:
    """The kind of a convolution by its place in a U-Net of ours, then by its shape."""
    if (placed := _placed(name)) is not None:
        return placed
    if groups > 1:
        return DEPTHWISE if groups == channels else GROUPED
    if kernel == 1:
        return POINTWISE if stride == 1 else STRIDED
    return DENSE


def _placed(name: str) -> str | None:
    if name in ("encoder.conv1", "encoder.conv_stem"):
        return STEM
    if name.startswith("decoder.blocks."):
        first = name.count(".") == 2 or name.endswith(".conv1.0")
        return UPSAMPLED if first else DECODER
    return HEAD if name.startswith(("segmentation_head", "deep_heads")) else None


class Clock:
    """Seconds by kind; every moment counts for the kind that it was set to."""

    def __init__(self) -> None:
        self.seconds: dict[Kind, float] = defaultdict(float)
        self.now: Kind = (REST, "forward")
        self._since = time.perf_counter()

    def turn_to(self, kind: Kind) -> Kind:
        """Count for another kind from now on; return the one before."""
        before, at = self.now, time.perf_counter()
        self.seconds[before] += at - self._since
        self.now, self._since = kind, at
        return before

    def read(self) -> dict[Kind, float]:
        """What was counted since the last reading."""
        self.turn_to(self.now)
        found, self.seconds = dict(self.seconds), defaultdict(float)
        return found


class Watched:
    """A network whose layers turn the clock over; the other two are hooks of a training step."""

    def __init__(self, model: nn.Module, clock: Clock) -> None:
        self.clock = clock
        self._open: list[Kind] = []
        self._numbers: list[int] = []
        self._kinds: list[Kind] = []
        self._handles: list[Any] = []
        model.register_forward_pre_hook(self._begin(NORM))
        for name, layer in model.named_modules():
            if (kind := _kind_of(name, layer)) is not None:
                layer.register_forward_pre_hook(self._begin(kind))
                layer.register_forward_hook(self._end)
        model.register_forward_hook(self._end)
        model.register_forward_hook(self._watch_backward)

    def after_backward(self) -> None:
        """The gradients are there; what comes now is the optimiser's, up to `after_step`."""
        self.clock.turn_to((OPTIMISER, "forward"))
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def after_step(self) -> None:
        self.clock.turn_to((REST, "forward"))

    def _begin(self, kind: str) -> Callable[..., None]:
        def begin(*_: object) -> None:
            self._open.append(self.clock.now)
            self._turn_to((kind, "forward"))

        return begin

    def _end(self, *_: object) -> None:
        self._turn_to(self._open.pop())

    def _turn_to(self, kind: Kind) -> None:
        self.clock.turn_to(kind)
        self._numbers.append(_next_number())
        self._kinds.append(kind)

    def _watch_backward(self, _model: nn.Module, _given: object, output: torch.Tensor) -> None:
        """Each step of the backward pass counts for the kind in whose forward pass it was noted.

        Autograd numbers what it notes in the order of the forward pass.
        """
        if output.grad_fn is None:
            self._forget()
            return
        found, waiting = {output.grad_fn}, [output.grad_fn]
        while waiting:
            node = waiting.pop()
            kind = self._noted_in(node)
            self._handles.append(node.register_prehook(self._turner(kind)))
            following = {one for one, _ in node.next_functions if one is not None} - found
            found |= following
            waiting += following
        self._forget()
        self.clock.turn_to((LOSS, "forward"))

    def _forget(self) -> None:
        self._numbers.clear()
        self._kinds.clear()

    def _noted_in(self, node: torch.autograd.graph.Node) -> Kind:
        if node.name().endswith("AccumulateGrad"):
            return OPTIMISER, "forward"
        place = bisect(self._numbers, node._sequence_nr()) - 1
        return self._kinds[place][0], "backward"

    def _turner(self, kind: Kind) -> Callable[[object], None]:
        def turn(_: object) -> None:
            self.clock.turn_to(kind)

        return turn


def _next_number() -> int:
    """Of what autograd notes next."""
    number: int = torch._C._autograd._get_sequence_nr()
    return number


def _kind_of(name: str, layer: nn.Module) -> str | None:
    """None for what belongs to the layer around it."""
    if isinstance(layer, nn.Conv2d):
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        return kind_of_convolution(name, kernel, stride, layer.groups, layer.in_channels)
    if isinstance(layer, nn.BatchNorm2d | nn.ReLU):
        return NORM
    return _placed(name) if name.count(".") in (1, 2) or name.endswith(".conv2") else None


class ByShape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """In prediction, convolutions of a fused encoder, which are no modules, by their shape."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.clock = clock

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "convolution" not in func.__name__ or self.clock.now[0] != NORM:
            return func(*args, **(kwargs or {}))
        names = (argument.name for argument in func._schema.arguments)
        given = dict(zip(names, args, strict=False)) | (kwargs or {})
        weight = given["W"] if "W" in given else given["weight"]
        kind = kind_of_convolution(
            "", weight.shape[-1], given["stride"][0], given["groups"], args[0].shape[1]
        )
        before = self.clock.turn_to((kind, "forward"))
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.clock.turn_to(before)

"""What this processor needs at least for the layers of a network, by layer kind.

The limit of a convolution is the slower of two things, both measured: the matrix products of its
shape (pixels by taps and channels in, by channels out; two more for the gradients), on pieces that
stay in the processor's cache, and one passage of its maps and weights through memory, at the rate
of a copy or of a change in place, whichever is higher. A convolution in groups is a batch of small
products, of its own groups or of as many at once as make 16 channels, whichever is faster. One in
each channel is a passage of its maps alone.

BatchNorm in training reads a map twice and writes one; its gradient reads four and writes one. In
prediction it belongs to the convolution, as ReLU, sums, upsampling and concatenation do everywhere:
their limit is nothing. The loss reads logits and masks and writes a gradient; the optimiser reads
four numbers a weight and writes three.

So no layer can be faster unless it is computed with fewer products than its shape has, as the
decoder's first convolutions are; nor is it said that all of them can be as fast at once.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from layer_times import DEPTHWISE, LOSS, NORM, OPTIMISER, STEM, Kind, kind_of_convolution
from roundelay.learning.networks import build_network

CHANNELS = 3
"""Of an image."""

VECTOR = 16
"""Channels that fill a vector unit."""

CACHED = 2**20
"""Bytes of a piece of a matrix that stays in the cache of a core."""

FEWEST = 256
"""Rows of a piece at least: a product of fewer isn't worth its start."""

TRIES, SHORTEST = 3, 0.004
"""The best of so many tries counts, each of so many seconds at least."""

COPIED = 2**25
"""Bytes: about the largest map of a batch."""


@dataclass(frozen=True)
class Convolution:
    """Its kind and its numbers; `read` and `pixels` are those of the maps in and out, of a whole
    batch."""

    kind: str
    channels: int
    outer: int
    taps: int
    groups: int
    read: int
    pixels: int

    @property
    def maps(self) -> tuple[int, int]:
        """Numbers that go in and come out."""
        return self.read * self.channels, self.pixels * self.outer

    @property
    def weights(self) -> int:
        return self.outer * self.channels * self.taps // self.groups


@dataclass(frozen=True)
class Network:
    """What of a network's shape its limits depend on; `normed` counts the numbers that go through
    BatchNorm, `answered` those of its logits."""

    convolutions: tuple[Convolution, ...]
    normed: int
    answered: int
    weights: int


def network_of(encoder: str, size: int, batch: int) -> Network:
    """Its shapes, by one pass of a batch that has no numbers."""
    found: list[Convolution] = []
    normed = 0

    def see(name: str, layer: nn.Module, x: Tensor, out: Tensor) -> None:
        nonlocal normed
        if isinstance(layer, nn.Conv2d):
            found.append(_convolution(name, layer, x, out))
        elif isinstance(layer, nn.BatchNorm2d):
            normed += x.numel()

    with torch.device("meta"):
        model = build_network(encoder, seed=0)
        for name, layer in model.named_modules():
            layer.register_forward_hook(
                lambda layer, x, out, name=name: see(name, layer, x[0], out)
            )
        logits = model(torch.empty(batch, CHANNELS, size, size))
    weights = sum(weight.numel() for weight in model.parameters())
    return Network(tuple(found), normed, logits.numel(), weights)


def _convolution(name: str, layer: nn.Conv2d, x: Tensor, out: Tensor) -> Convolution:
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    kind = kind_of_convolution(name, kernel, stride, layer.groups, layer.in_channels)
    read, pixels = (t.numel() // t.shape[1] for t in (x, out))
    return Convolution(kind, x.shape[1], out.shape[1], kernel**2, layer.groups, read, pixels)


class Processor:
    """What it can do now, in numbers of `dtype`: the same product is measured once."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype, self.bytes = dtype, dtype.itemsize
        self._known: dict[tuple[Any, ...], float] = {}
        source = torch.ones(COPIED // 4)
        target = torch.empty_like(source)
        passages = (lambda: target.copy_(source), lambda: source.mul_(1.0))
        self.a_byte = min(_seconds(passage) for passage in passages) / (2 * COPIED)

    def limits(self, network: Network, *, training: bool) -> dict[Kind, float]:
        """Seconds by kind for one batch: a step, or without `training` a prediction."""
        found: dict[Kind, float] = defaultdict(float)
        for one in network.convolutions:
            found[one.kind, "forward"] += self._forward(one)
            if training:
                found[one.kind, "backward"] += self._backward(one)
        if training:
            found[NORM, "forward"] = self._passage(3 * network.normed)
            found[NORM, "backward"] = self._passage(5 * network.normed)
            found[LOSS, "forward"] = self.a_byte * 3 * 4 * network.answered
            found[OPTIMISER, "forward"] = self.a_byte * 7 * 4 * network.weights
        return found

    def _passage(self, numbers: int) -> float:
        return numbers * self.bytes * self.a_byte

    def _forward(self, one: Convolution) -> float:
        passage = self._passage(sum(one.maps) + one.weights)
        return max(passage, self._products(one, "forward"))

    def _backward(self, one: Convolution) -> float:
        """The gradient of the weights, and but for the stem that of the map."""
        gives = ("of weights",) if one.kind == STEM else ("of weights", "of map")
        passage = self._passage(sum(one.maps) + one.weights)
        return sum(max(passage, self._products(one, what)) for what in gives)

    def _products(self, one: Convolution, what: str) -> float:
        if one.kind == DEPTHWISE:
            return 0.0
        joined = max(1, one.channels // VECTOR)  # groups that are left of narrower ones
        ways = {one.groups, min(one.groups, joined)}
        return min(self._product(one, groups, what) for groups in ways)

    def _product(self, one: Convolution, groups: int, what: str) -> float:
        """Of a piece of the pixels, times what the piece is in all of them."""
        inner, outer = one.channels * one.taps // groups, one.outer // groups
        piece = max(CACHED // (self.bytes * groups * max(inner, outer)), FEWEST)
        rows = min(one.pixels, piece)
        key = (rows, groups, inner, outer, what)
        if key not in self._known:
            self._known[key] = self._measured(*key)
        return self._known[key] * one.pixels / rows

    def _measured(self, rows: int, groups: int, inner: int, outer: int, what: str) -> float:
        pixels = torch.randn(groups, rows, inner).to(self.dtype)
        weights = torch.randn(groups, inner, outer).to(self.dtype)
        given = torch.randn(groups, rows, outer).to(self.dtype)
        left, right = {
            "forward": (pixels, weights),
            "of map": (given, weights.transpose(1, 2)),
            "of weights": (pixels.transpose(1, 2), given),
        }[what]
        if groups == 1:
            return _seconds(partial(torch.mm, left[0], right[0]))
        return _seconds(partial(torch.bmm, left, right))


def _seconds(action: Callable[[], Any]) -> float:
    """Of one time, the best of a few tries."""
    action()
    begin = time.perf_counter()
    action()
    often = max(1, round(SHORTEST / max(time.perf_counter() - begin, 1e-7)))
    tries = []
    for _ in range(TRIES):
        begin = time.perf_counter()
        for _ in range(often):
            action()
        tries.append((time.perf_counter() - begin) / often)
    return min(tries)

"""Two convolutions of the encoder that cost less in bfloat16 on a processor, with the same result.

Elsewhere, and in float32, they are PyTorch's own, to the bit. They have no state of their own, so
that a layer becomes one of them by its class alone: `replace.replace_convolutions`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

SMALL = 100
"""Pixels of a map up to which a matrix product is faster than oneDNN's convolution, as measured."""

NARROW, WIDE = 4, 16
"""Channels of a group up to which oneDNN's gradient of the weights wastes most of the vector unit,
and from which it fills it, as measured."""


def in_bfloat16_here(x: Tensor) -> bool:
    """Whether `x` is computed in bfloat16 on the processor."""
    return x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def is_pointwise(layer: nn.Conv2d) -> bool:
    """Whether `Pointwise` computes what this layer does."""
    return (
        layer.kernel_size == (1, 1)
        and layer.padding == (0, 0)
        and layer.groups == 1
        and layer.bias is None
    )


def is_narrow(layer: nn.Conv2d) -> bool:
    """Whether `Grouped` computes what this layer does, and in less time."""
    return (
        layer.kernel_size == (3, 3)
        and layer.padding == layer.dilation == (1, 1)
        and layer.in_channels == layer.out_channels
        and layer.in_channels % WIDE == 0
        and 1 < layer.weight.shape[1] <= NARROW  # for one, oneDNN has a form of its own
        and WIDE % layer.weight.shape[1] == 0
        and layer.bias is None
    )


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution without bias; one that gives a small map runs as a matrix product.

    Over five pairs of runs 3 to 11 % of a training step were saved; with stride 2 a third of what
    the layer costs.
    """

    def forward(self, x: Tensor) -> Tensor:
        down, right = self.stride
        if x.shape[-1] * x.shape[-2] > SMALL * down * right or not in_bfloat16_here(x):
            return super().forward(x)
        read = x[:, :, ::down, ::right].permute(0, 2, 3, 1)
        # As rows: of a view in four dimensions PyTorch makes a batch of products where no gradient
        # is asked for, each with a copy of the weights of its own.
        found = F.linear(read.reshape(-1, read.shape[-1]), self.weight.flatten(1))
        return found.view(*read.shape[:3], -1).permute(0, 3, 1, 2)


class Grouped(nn.Conv2d):
    """A 3 x 3 convolution in narrow groups, without bias.

    The gradient of the weights is computed for several groups at once, as if they were one, and
    what belongs to none of them is left out: half of the time for four channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not in_bfloat16_here(x):
            return super().forward(x)
        given = x.bfloat16(), self.weight.bfloat16(), self.stride, self.groups
        out: Tensor = _Grouped.apply(*given)  # type: ignore[no-untyped-call]
        return out


class _Grouped(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], groups: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.groups = stride, groups
        return F.conv2d(x, weight, None, stride, 1, groups=groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        channels, width = weight.shape[:2]
        of_x = conv2d_input(x.shape, weight, gradients[0], ctx.stride, 1, 1, ctx.groups)  # type: ignore[no-untyped-call]
        joined = conv2d_weight(  # type: ignore[no-untyped-call]
            x, (channels, WIDE, 3, 3), gradients[0], ctx.stride, 1, 1, channels // WIDE
        )
        each = WIDE // width
        blocks = joined.permute(0, 2, 3, 1).reshape(-1, each, width, 3, 3, each, width)
        own = blocks.diagonal(dim1=1, dim2=5).permute(0, 5, 1, 2, 3, 4)
        return of_x, own.reshape(channels, 3, 3, width).permute(0, 3, 1, 2), None, None

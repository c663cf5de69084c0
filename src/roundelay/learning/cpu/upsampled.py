"""The decoder's first convolution, with less work than the reference: in bfloat16, on a processor.

It is the 3 x 3 convolution of a map, made twice as high and wide by nearest neighbour, and of the
encoder's features beside it. Convolution is linear, so the two parts are computed apart, and of the
map's part nothing is computed twice for pixels that are equal. What comes out differs from the
reference as one rounding to bfloat16 more does (0.3 to 0.5 % of the spread, where its own are 0.2).
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from roundelay.learning.cpu.convolution import in_bfloat16_here
from roundelay.learning.unet import DecoderBlock

WIDE = 12
"""Side of a map from which `_by_phases` is worth its storage, as measured."""


class JoinedDecoderBlock(DecoderBlock):
    """The decoder's block with its first three operations in one, where that is faster."""

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        weight = self.conv1.get_parameter("0.weight")
        if not can_save(x, skip, weight):
            return super().forward(x, skip)
        out: Tensor = self.conv2(self.conv1[1:](upsampled_conv(x, skip, weight)))
        return out


def can_save(x: Tensor, skip: Tensor | None, weight: Tensor) -> bool:
    """Whether one of the two forms below is faster here than the reference."""
    return in_bfloat16_here(x) and (
        x.shape[-1] >= WIDE or (skip is not None and _is_narrowing(weight))
    )


def upsampled_conv(x: Tensor, skip: Tensor | None, weight: Tensor) -> Tensor:
    """``[batch, outer, 2 height, 2 width]`` in bfloat16.

    Of a map `x` ``[batch, inner, height, width]``, features `skip` ``[batch, beside, 2 height,
    2 width]`` and a `weight` ``[outer, inner + beside, 3, 3]``.
    """
    if skip is not None and _is_narrowing(weight):
        out: Tensor = _ByTaps.apply(x.bfloat16(), skip.bfloat16(), weight)  # type: ignore[no-untyped-call]
        return out
    inner = x.shape[1]
    out = _by_phases(x, weight[:, :inner])
    if skip is not None:
        out = F.conv2d(skip, weight[:, inner:], padding=1).add_(out)
    return out


def _is_narrowing(weight: Tensor) -> bool:
    """Whether the products of all nine taps take no more room than what goes in."""
    return 9 * weight.shape[0] <= weight.shape[1]


class _ByTaps(torch.autograd.Function):
    """One matrix product for all nine taps, the map's at its own size; then their shifted sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, skip: Tensor, weight: Tensor) -> Tensor:
        outer, inner = weight.shape[0], x.shape[1]
        x, skip = (t.permute(0, 2, 3, 1).contiguous() for t in (x, skip))
        taps = x.new_empty((3, 3, *weight.shape[:2])).copy_(weight.permute(2, 3, 0, 1))
        taps = taps.flatten(0, 2)
        ctx.save_for_backward(x, skip, taps)
        products = F.linear(skip, taps[:, inner:])
        _fourfold(products).add_(F.linear(x, taps[:, :inner])[:, :, None, :, None])
        batch, height, width, _ = products.shape
        products = products.view(batch, height, width, 3, 3, outer)
        out = x.new_zeros((batch, height + 2, width + 2, outer))
        for row, column, window in _windows(out):
            window += products[:, :, :, row, column]
        return out[:, 1:-1, 1:-1].contiguous().permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, skip, taps = ctx.saved_tensors
        batch, height, width, beside = skip.shape
        outer, inner = taps.shape[0] // 9, x.shape[-1]
        ringed = F.pad(gradients[0].permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        of_products = skip.new_empty((batch, height, width, 3, 3, outer))
        for row, column, window in _windows(ringed):
            of_products[:, :, :, row, column] = window
        of_skip = of_products.flatten(3)
        nchw = of_skip.permute(0, 3, 1, 2)
        # The sum of four: `sum` over two axes of this layout takes ten times as long.
        of_x = F.avg_pool2d(nchw, 2, divisor_override=1).permute(0, 2, 3, 1)
        # As a parameter in channels_last is stored, so that adding it up moves nothing around.
        of_weight = torch.empty((outer, 3, 3, inner + beside))
        for columns, over, read in (
            (slice(None, inner), of_x, x),
            (slice(inner, None), of_skip, skip),
        ):
            product = over.flatten(0, 2).t() @ read.flatten(0, 2)
            of_weight.permute(1, 2, 0, 3)[..., columns] = product.view(3, 3, outer, -1)
        return (
            (of_x @ taps[:, :inner]).permute(0, 3, 1, 2),
            (of_skip @ taps[:, inner:]).permute(0, 3, 1, 2),
            of_weight.permute(0, 3, 1, 2),
        )


def _windows(ringed: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """For every tap, the pixels of the output that its products belong to.

    `ringed` is the output with a ring of one pixel around it. The middle tap's stay where they
    are; a tap above or left of it read a pixel that lies above or left of the output's.
    """
    height, width = ringed.shape[1] - 2, ringed.shape[2] - 2
    for row in range(3):
        for column in range(3):
            down, right = 2 - row, 2 - column
            yield row, column, ringed[:, down : down + height, right : right + width]


def _fourfold(pixels: Tensor) -> Tensor:
    """``[batch, height, 2, width, 2, channels]``: the four pixels that stand over one."""
    batch, height, width, channels = pixels.shape
    return pixels.view(batch, height // 2, 2, width // 2, 2, channels)


def _by_phases(x: Tensor, weight: Tensor) -> Tensor:
    """The map's part of the convolution, from its four phases."""
    return weave(F.conv2d(x, phase_kernels(weight), padding=1))


def phase_kernels(weight: Tensor) -> Tensor:
    """``[4 outer, inner, 2, 2]``: four 2 x 2 convolutions of the map as it is, one for each of the
    four pixels over one of it, of a `weight` ``[outer, inner, 3, 3]``.

    An output pixel in an even row reads one row of the map by tap 0 and the next by taps 1 and 2,
    so their sum; one in an odd row reads by taps 0 and 1, and by 2; columns likewise.
    """
    outer, inner = weight.shape[:2]
    rows = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
    sums = torch.einsum("auk,bvl->abuvkl", rows, rows).reshape(16, 9)
    with torch.autocast("cpu", enabled=False):
        kernels = sums @ weight.permute(0, 2, 3, 1).reshape(outer, 9, inner)
    kernels = kernels.view(outer, 2, 2, 2, 2, inner).permute(1, 2, 0, 5, 3, 4)
    return kernels.reshape(4 * outer, inner, 2, 2)


def weave(phases: Tensor) -> Tensor:
    """``[batch, outer, 2 height, 2 width]`` of what `phase_kernels` with a padding of 1 give."""
    out: Tensor = _Woven.apply(phases)  # type: ignore[no-untyped-call]
    return out


class _Woven(torch.autograd.Function):
    """``[batch, 4 outer, height + 1, width + 1]`` to ``[batch, outer, 2 height, 2 width]``.

    The phase of odd rows reads one row further down than that of even ones; columns likewise.
    """

    @staticmethod
    def forward(ctx: Any, phases: Tensor) -> Tensor:
        batch, channels, height, width = phases.shape
        outer, height, width = channels // 4, height - 1, width - 1
        pixels = phases.permute(0, 2, 3, 1).view(batch, height + 1, width + 1, 2, 2, outer)
        out = phases.new_empty((batch, 2 * height, 2 * width, outer))
        for a in range(2):
            for b in range(2):
                place = pixels[:, a : a + height, b : b + width, a, b]
                _fourfold(out)[:, :, a, :, b] = place
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        pixels = _fourfold(gradients[0].permute(0, 2, 3, 1).contiguous())
        batch, height, _, width, _, outer = pixels.shape
        phases = pixels.new_zeros((batch, height + 1, width + 1, 2, 2, outer))
        for a in range(2):
            for b in range(2):
                phases[:, a : a + height, b : b + width, a, b] = pixels[:, :, a, :, b]
        return phases.flatten(3).permute(0, 3, 1, 2)

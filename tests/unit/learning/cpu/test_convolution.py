"""The encoder's cheaper convolutions against PyTorch's, on whole numbers, so to the bit."""

import pytest
import torch
from torch import nn

from roundelay.learning.cpu.convolution import Grouped, Pointwise

LAYERS = {
    "pointwise": lambda: Pointwise(6, 4),
    "pointwise, every other pixel": lambda: Pointwise(6, 4, 2),
    "groups of 1": lambda: Grouped(32, 1, 32),
    "groups of 4": lambda: Grouped(32, 1, 8),
    "groups of 4, every other pixel": lambda: Grouped(32, 2, 8),
    "groups of 8": lambda: Grouped(32, 1, 4),
}


def plain(layer):
    """PyTorch's own layer of the same kind."""
    return nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        groups=layer.groups,
        bias=False,
    )


def whole(*shape, seed):
    """-1, 0 or 1: all sums here stay below 256, so that bfloat16 holds each of them exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, shape, generator=generator).to(torch.bfloat16)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("side", [(9, 7), (8, 10), (14, 12)], ids=str)
def test_values_and_gradients_are_those_of_the_plain_convolution(make, side):
    ours = make().to(memory_format=torch.channels_last)
    theirs = plain(ours)
    weight = whole(*theirs.weight.shape, seed=0).float()
    for layer in (ours, theirs):
        layer.load_state_dict({"weight": weight})
    x = (
        whole(2, ours.in_channels, *side, seed=1)
        .to(memory_format=torch.channels_last)
        .requires_grad_()
    )
    exact = x.detach().float().requires_grad_()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = ours(x)
    expected = theirs(exact)
    upstream = whole(*expected.shape, seed=2)
    got.backward(upstream)
    expected.backward(upstream.float())

    assert expected.abs().max() > 3
    assert got.dtype == torch.bfloat16
    for found, right in (
        (got, expected), (x.grad, exact.grad), (ours.weight.grad, theirs.weight.grad)
    ):  # fmt: skip
        assert torch.equal(found.float(), right)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_in_float32_they_are_pytorchs_own(make):
    ours = make()
    theirs = plain(ours)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, ours.in_channels, 8, 10, generator=torch.Generator().manual_seed(0))

    assert torch.equal(ours(x), theirs(x))

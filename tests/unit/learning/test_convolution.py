"""The encoder's cheaper convolutions against PyTorch's, on whole numbers, so to the bit."""

import pytest
import torch
from torch import nn

from roundelay.learning.convolution import Grouped, Pointwise

PAIRS = {
    "pointwise": (lambda: Pointwise(6, 4), lambda: nn.Conv2d(6, 4, 1, bias=False), 6),
    "pointwise, every other pixel": (
        lambda: Pointwise(6, 4, 2),
        lambda: nn.Conv2d(6, 4, 1, 2, bias=False),
        6,
    ),
    "groups of 1": (
        lambda: Grouped(32, 1, 32),
        lambda: nn.Conv2d(32, 32, 3, 1, 1, groups=32, bias=False),
        32,
    ),
    "groups of 4": (
        lambda: Grouped(32, 1, 8),
        lambda: nn.Conv2d(32, 32, 3, 1, 1, groups=8, bias=False),
        32,
    ),
    "groups of 4, every other pixel": (
        lambda: Grouped(32, 2, 8),
        lambda: nn.Conv2d(32, 32, 3, 2, 1, groups=8, bias=False),
        32,
    ),
    "groups of 8": (
        lambda: Grouped(32, 1, 4),
        lambda: nn.Conv2d(32, 32, 3, 1, 1, groups=4, bias=False),
        32,
    ),
}


def whole(*shape, seed):
    """-1, 0 or 1: all sums here stay below 256, so that bfloat16 holds each of them exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, shape, generator=generator).to(torch.bfloat16)


@pytest.mark.parametrize(("make", "plain", "inner"), PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("side", [(9, 7), (8, 10), (14, 12)], ids=str)
def test_values_and_gradients_are_those_of_the_plain_convolution(make, plain, inner, side):
    ours = make().to(memory_format=torch.channels_last)
    theirs = plain()
    weight = whole(*theirs.weight.shape, seed=0).float()
    for layer in (ours, theirs):
        layer.load_state_dict({"weight": weight})
    x = whole(2, inner, *side, seed=1).to(memory_format=torch.channels_last).requires_grad_()
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


@pytest.mark.parametrize(("make", "plain", "inner"), PAIRS.values(), ids=PAIRS)
def test_in_float32_they_are_pytorchs_own(make, plain, inner):
    ours, theirs = make(), plain()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, inner, 8, 10, generator=torch.Generator().manual_seed(0))

    assert torch.equal(ours(x), theirs(x))

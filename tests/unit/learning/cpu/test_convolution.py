"""The encoder's cheaper convolutions against PyTorch's, on whole numbers, so to the bit."""

import copy

import pytest
import torch
from torch import nn

from roundelay.learning.cpu.convolution import Grouped, Pointwise, is_narrow, is_pointwise

LAYERS = {
    "pointwise": (Pointwise, nn.Conv2d(6, 4, 1, bias=False)),
    "pointwise, every other pixel": (Pointwise, nn.Conv2d(6, 4, 1, 2, bias=False)),
    "groups of 2": (Grouped, nn.Conv2d(32, 32, 3, 1, 1, groups=16, bias=False)),
    "groups of 4": (Grouped, nn.Conv2d(32, 32, 3, 1, 1, groups=8, bias=False)),
    "groups of 4, every other pixel": (Grouped, nn.Conv2d(32, 32, 3, 2, 1, groups=8, bias=False)),
}

OTHERS = {
    "with bias": nn.Conv2d(6, 4, 1),
    "1 x 1 in groups": nn.Conv2d(6, 4, 1, groups=2, bias=False),
    "1 x 1 with a margin": nn.Conv2d(6, 4, 1, padding=1, bias=False),
    "wide groups": nn.Conv2d(32, 32, 3, 1, 1, groups=4, bias=False),
    "groups that don't fill a vector": nn.Conv2d(24, 24, 3, 1, 1, groups=6, bias=False),
    "groups that don't divide a vector": nn.Conv2d(48, 48, 3, 1, 1, groups=16, bias=False),
    "wider outside": nn.Conv2d(32, 64, 3, 1, 1, groups=8, bias=False),
    "spread out": nn.Conv2d(32, 32, 3, 1, 2, dilation=2, groups=8, bias=False),
    "one group": nn.Conv2d(32, 32, 3, 1, 1, bias=False),
    "5 x 5": nn.Conv2d(32, 32, 5, 1, 2, groups=8, bias=False),
    "groups of 1": nn.Conv2d(32, 32, 3, 1, 1, groups=32, bias=False),
}


def pair(kind, layer):
    """The layer as one of ours, and as it is."""
    ours = copy.deepcopy(layer)
    ours.__class__ = kind
    return ours, copy.deepcopy(layer)


def whole(*shape, seed):
    """-1, 0 or 1: all sums here stay below 256, so that bfloat16 holds each of them exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, shape, generator=generator).to(torch.bfloat16)


@pytest.mark.parametrize(("kind", "layer"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("side", [(9, 7), (8, 10), (14, 12)], ids=str)
def test_values_and_gradients_are_those_of_the_plain_convolution(kind, layer, side):
    ours, theirs = pair(kind, layer)
    ours = ours.to(memory_format=torch.channels_last)
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


@pytest.mark.parametrize(("kind", "layer"), LAYERS.values(), ids=LAYERS)
def test_in_float32_they_are_pytorchs_own(kind, layer):
    ours, theirs = pair(kind, layer)
    x = torch.randn(2, ours.in_channels, 8, 10, generator=torch.Generator().manual_seed(0))

    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(("kind", "layer"), LAYERS.values(), ids=LAYERS)
def test_a_layer_that_they_compute_is_known(kind, layer):
    assert (is_pointwise(layer), is_narrow(layer)) == (kind is Pointwise, kind is Grouped)


@pytest.mark.parametrize("layer", OTHERS.values(), ids=OTHERS)
def test_any_other_layer_is_left_to_pytorch(layer):
    assert not is_pointwise(layer)
    assert not is_narrow(layer)


@pytest.mark.parametrize("grad", [False, True])
def test_a_product_is_one_product_also_where_no_gradient_is_asked_for(grad):
    """A batch of products, each with its own copy of the weights, took most of an evaluation."""
    layer = Pointwise(1024, 2048, 1, 2, bias=False).to(memory_format=torch.channels_last)
    x = torch.zeros(8, 1024, 10, 10).bfloat16().to(memory_format=torch.channels_last)

    with torch.profiler.profile() as found, torch.inference_mode(not grad), torch.autocast("cpu"):
        layer(x)

    counts = {event.key: event.count for event in found.key_averages()}
    assert counts.get("aten::mm") == 1
    assert "aten::bmm" not in counts

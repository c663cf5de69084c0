"""The decoder's faster convolution against the plain one, on whole numbers, so to the bit."""

import pytest
import torch
import torch.nn.functional as F

from roundelay.learning.cpu.replace import replace_convolutions
from roundelay.learning.cpu.upsampled import can_save, upsampled_conv
from roundelay.learning.networks import build_network


def bfloat16():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def whole(*shape, seed, dtype=torch.bfloat16):
    """-1, 0 or 1: all sums here stay below 256, so that bfloat16 holds each of them exactly."""
    numbers = torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(seed))
    return numbers.to(dtype, memory_format=torch.channels_last).requires_grad_()


def plain(x, skip, weight):
    x = F.interpolate(x, scale_factor=2.0, mode="nearest")
    return F.conv2d(x if skip is None else torch.cat([x, skip], dim=1), weight, padding=1)


METHOD_COLOURS = {
    "by taps": (8, 4, 1, (4, 5)),
    "by phases": (5, 0, 3, (12, 13)),
    "by phases, features beside": (5, 4, 3, (13, 12)),
}


@pytest.mark.parametrize(
    ("inner", "beside", "outer", "side"), METHOD_COLOURS.values(), ids=METHOD_COLOURS
)
def test_values_and_gradients_are_those_of_the_plain_convolution(inner, beside, outer, side):
    height, width = side
    x = whole(2, inner, height, width, seed=0)
    skip = whole(2, beside, 2 * height, 2 * width, seed=1) if beside else None
    weight = whole(outer, inner + beside, 3, 3, seed=2, dtype=torch.float32)
    given = [x, weight] if skip is None else [x, skip, weight]

    with bfloat16():
        assert can_save(x, skip, weight)
        got = upsampled_conv(x, skip, weight)
    expected = plain(x.float(), None if skip is None else skip.float(), weight)
    upstream = whole(*expected.shape, seed=3).detach()

    assert expected.abs().max() > 5
    assert torch.equal(got.float(), expected)
    ours = torch.autograd.grad(got, given, upstream)
    theirs = torch.autograd.grad(expected, given, upstream.float())
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.float(), other.float())


def test_in_float32_it_stays_out_of_the_way():
    x, weight = torch.zeros(1, 32, 16, 16), torch.zeros(16, 32, 3, 3)

    assert not can_save(x, None, weight)
    with bfloat16():
        assert can_save(x, None, weight)


def test_a_network_in_bfloat16_is_as_near_to_float32_as_without_it():
    model = build_network("resnext50_32x4d", seed=0).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images = images.to(memory_format=torch.channels_last)

    def logits():
        with bfloat16():
            return model(images).float()

    with torch.no_grad():
        exact, reference = model(images), logits()
        replace_convolutions(model)
        ours = logits()
    error, usual = (ours - exact).abs().mean(), (reference - exact).abs().mean()
    assert not torch.equal(ours, reference)
    assert error < 1.5 * usual

"""The plain network and the one with fast forms: the same tensors, and where they differ."""

import copy

import pytest
import torch
from torch import nn

from roundelay.learning.cpu.convolution import Grouped, Pointwise
from roundelay.learning.cpu.replace import keep_in_bfloat16, replace_convolutions
from roundelay.learning.cpu.upsampled import JoinedDecoderBlock
from roundelay.learning.machine import machine_on
from roundelay.learning.networks import ENCODERS, build_network

BLOCKS = [f"decoder.blocks.{number}" for number in range(5)]

RESNET18 = [f"encoder.layer{stage}.0.downsample.0" for stage in (2, 3, 4)]
REPLACED = {
    "resnet18_quarter": RESNET18,
    "resnet18": RESNET18,
    "resnext50_32x4d": [
        f"encoder.layer{stage}.{block}.{layer}"
        for stage, depth in zip((1, 2, 3, 4), (3, 4, 6, 3), strict=True)
        for block in range(depth)
        for layer in ("conv1", "conv2", "conv3", "downsample.0")
        if not (layer == "conv2" and stage > 1)  # four channels a group in the first stage only
        if not (layer == "downsample.0" and block)
    ],
    "efficientnet_lite0": [
        f"encoder.blocks.{stage}.{block}.{layer}"
        for stage, depth in enumerate((1, 2, 2, 3, 3, 4, 1))
        for block in range(depth)
        for layer in (("conv_pw", "conv_pwl") if stage else ("conv_pw",))
    ],
}


@pytest.fixture(scope="module", params=ENCODERS)
def pair(request):
    plain = build_network(request.param, seed=0)
    fast = copy.deepcopy(plain)
    return request.param, plain, fast, replace_convolutions(fast)


def images():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def in_training(model, *, bfloat16):
    """Logits and gradients of a step."""
    model = copy.deepcopy(model).train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        logits = model(images())
    logits.float().square().mean().backward()
    return [logits.detach(), *(weight.grad for weight in model.parameters())]


def test_it_names_what_it_replaced(pair):
    encoder, _, fast, replaced = pair
    layers = dict(fast.named_modules())

    assert list(replaced) == [*REPLACED[encoder], *BLOCKS]
    kinds = {name: type(layers[name]) for name in replaced}
    assert {kinds[name] for name in BLOCKS} == {JoinedDecoderBlock}
    assert {kinds[n] for n in REPLACED[encoder] if not n.endswith("conv2")} == {Pointwise}
    assert {kinds[n] for n in REPLACED[encoder] if n.endswith("conv2")} <= {Grouped}


def test_it_replaces_nothing_twice(pair):
    _, _, fast, _ = pair

    assert replace_convolutions(fast) == ()


def test_parameters_are_the_same_tensors_under_the_same_names():
    model = build_network("resnext50_32x4d", seed=0)
    before = model.state_dict(keep_vars=True)

    replace_convolutions(model)

    after = model.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[name] is tensor for name, tensor in before.items())


def test_in_float32_it_computes_the_plain_networks_numbers(pair):
    _, plain, fast, _ = pair

    ours, theirs = in_training(fast, bfloat16=False), in_training(plain, bfloat16=False)

    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))


def test_in_bfloat16_it_computes_others_nearer_than_bfloat16_is_to_float32(pair):
    _, plain, fast, _ = pair

    ours, theirs = (in_training(m, bfloat16=True)[0].float() for m in (fast, plain))

    assert not torch.equal(ours, theirs)
    exact = in_training(plain, bfloat16=False)[0]
    assert (ours - theirs).abs().mean() < 0.6 * (theirs - exact).abs().mean()


def test_a_network_that_is_not_ours_stays_as_it_is():
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False))

    assert replace_convolutions(model) == ()
    assert type(model[0]) is nn.Conv2d


@pytest.mark.parametrize("encoder", ENCODERS)
def test_weights_that_are_rounded_once_predict_to_the_bit_the_same(encoder):
    machine = machine_on("cpu", True, True)
    images = torch.randn(2, 3, 64, 64).to(memory_format=machine.memory_format)
    plain = machine.place(build_network(encoder, seed=3)).eval()
    ready = machine.place(build_network(encoder, seed=3)).eval()
    keep_in_bfloat16(ready)

    with torch.inference_mode(), machine.autocast():
        assert torch.equal(plain(images), ready(images))
    kept = [m.weight.dtype for m in ready.modules() if isinstance(m, torch.nn.Conv2d)]
    assert kept.count(torch.bfloat16) == len(kept) - 5

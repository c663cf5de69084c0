"""The fused network predicts what the plain one does, but for the order of its sums."""

import copy

import pytest
import torch
from torch import nn

from roundelay.learning.cpu import fused
from roundelay.learning.machine import machine_on
from roundelay.learning.networks import ENCODERS, build_network

PLAIN, CHANNELS_LAST = (machine_on("cpu", False, last) for last in (False, True))
BFLOAT16 = machine_on("cpu", True, True)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(encoder, *, deep=False):
    """A network whose BatchNorm is far from how it begins: no fold of it is the identity."""
    model = build_network(encoder, seed=1, regions=2, deep=deep)
    with torch.no_grad():
        for number, norm in enumerate(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.momentum = None
            norm.weight.add_(0.2 * drawn(*norm.weight.shape, seed=number))
            norm.bias.add_(0.2 * drawn(*norm.bias.shape, seed=-number))
        model.train()(drawn(2, 3, 64, 64, seed=7))
    return model.eval()


@pytest.fixture(scope="module", params=ENCODERS)
def model(request):
    return trained(request.param)


def logits(model, images, machine):
    with torch.inference_mode(), machine.autocast():
        return model(images.to(memory_format=machine.memory_format)).float()


@pytest.mark.parametrize("machine", [PLAIN, CHANNELS_LAST], ids=["nchw", "channels_last"])
def test_in_float32_it_computes_the_plain_networks_logits(model, machine):
    ready = machine.place_to_infer(copy.deepcopy(model))

    # The second batch has another size than that for which the weights were laid out.
    for shape in ((2, 3, 64, 96), (1, 3, 32, 32), (3, 3, 96, 64)):
        images = drawn(*shape)
        exact = copy.deepcopy(model).double()(images.double())
        error = (logits(ready, images, machine) - exact).abs().mean()
        assert error < 4 * (logits(model, images, PLAIN) - exact).abs().mean()
        assert error < 1e-4 * exact.std()


def test_no_batchnorm_is_left_and_every_convolution_is_fused(model):
    ready = CHANNELS_LAST.place_to_infer(copy.deepcopy(model))

    assert not [m for m in ready.modules() if isinstance(m, nn.BatchNorm2d | nn.Conv2d)]
    assert [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def test_in_bfloat16_it_is_no_further_from_float32_than_the_plain_network(model):
    images = drawn(4, 3, 64, 64)
    exact = logits(model, images, PLAIN)

    ours = logits(BFLOAT16.place_to_infer(copy.deepcopy(model)), images, BFLOAT16)

    plain = logits(copy.deepcopy(model).to(memory_format=torch.channels_last), images, BFLOAT16)
    assert not torch.equal(ours, exact)
    assert (ours - exact).abs().mean() < 1.1 * (plain - exact).abs().mean()


def test_coarse_heads_of_training_do_no_harm():
    model = trained("resnet18_quarter", deep=True)
    images = drawn(2, 3, 64, 64)

    ours = logits(PLAIN.place_to_infer(copy.deepcopy(model)), images, PLAIN)

    theirs = logits(model, images, PLAIN)
    assert (ours - theirs).abs().max() < 2e-4 * theirs.std()


def test_a_network_that_is_not_ours_stays_as_it_is():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))

    assert not fused.fuse(model, torch.float32)
    assert [type(layer) for layer in model] == [nn.Conv2d, nn.BatchNorm2d]


def test_without_onednn_the_network_stays_plain(monkeypatch):
    model = trained("resnet18_quarter")
    monkeypatch.setattr(fused, "onednn", object())

    ready = PLAIN.place_to_infer(copy.deepcopy(model))

    images = drawn(1, 3, 64, 64)
    assert torch.equal(logits(ready, images, PLAIN), logits(model, images, PLAIN))

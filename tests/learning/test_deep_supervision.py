"""Deep supervision: coarse masks and losses by hand, and heads that travel."""

import numpy as np
import pytest
import torch

from roundelay.errors import ModelError
from roundelay.learning.deep_supervision import coarse_masks, loss_of, outputs_of
from roundelay.learning.loss import segmentation_loss
from roundelay.learning.networks import build_network
from roundelay.learning.state import load_model, model_arrays
from roundelay.study.network_shape import NetworkShape

ENCODER = "resnet18_quarter"
SHAPE = NetworkShape(ENCODER, 3, 2, deep=True)


def images(batch=2, side=64):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_a_coarse_pixel_is_marked_from_a_quarter_of_it_on():
    masks = torch.zeros(1, 1, 4, 8)
    masks[0, 0, 0, :4] = 1  # 4 of the first 16 pixels
    masks[0, 0, 0, 4:7] = 1  # 3 of the second

    assert coarse_masks(masks, 4).tolist() == [[[[1.0, 0.0]]]]


def test_the_loss_is_the_mean_over_scales_by_weight():
    masks = (images(side=32)[:, :1] > 0.5).float()
    outputs = [torch.randn(2, 1, side, side) for side in (32, 8, 4)]
    parts = [
        segmentation_loss(logits, target, "bce+dice").item()
        for logits, target in zip(
            outputs, (masks, coarse_masks(masks, 4), coarse_masks(masks, 8)), strict=True
        )
    ]

    found = loss_of(outputs, masks, "bce+dice", 0.5).item()

    assert found == pytest.approx((parts[0] + 0.5 * parts[1] + 0.5 * parts[2]) / 2, rel=1e-6)
    assert loss_of(outputs[:1], masks, "bce+dice", 0.0).item() == parts[0]


def test_a_network_answers_at_a_quarter_and_an_eighth_of_the_side_for_each_region():
    network = build_network(*SHAPE, seed=0).eval()

    outputs = outputs_of(network, images(), 0.5)

    assert [tuple(o.shape) for o in outputs] == [(2, 2, 64, 64), (2, 2, 16, 16), (2, 2, 8, 8)]
    assert torch.equal(outputs[0], network(images()))


def test_without_a_weight_the_network_is_the_plain_one():
    plain, again = (build_network(*SHAPE._replace(deep=False), seed=0) for _ in range(2))

    assert outputs_of(plain, images(), 0.0)[0].shape == (2, 2, 64, 64)
    assert not [name for name in model_arrays(plain) if name.startswith("deep_heads")]
    assert model_arrays(again).keys() == model_arrays(plain).keys()


def test_its_heads_travel_with_the_weights_and_a_network_without_them_does_not_fit():
    arrays = model_arrays(build_network(*SHAPE, seed=0))

    loaded = model_arrays(load_model(SHAPE, arrays))

    assert {"deep_heads.0.weight", "deep_heads.1.bias"} <= arrays.keys()
    assert all(np.array_equal(loaded[name], arrays[name]) for name in arrays)
    with pytest.raises(ModelError, match="deep_heads"):
        load_model(SHAPE._replace(deep=False), arrays)


def test_a_coarse_head_teaches_the_decoder_below_it():
    network = build_network(*SHAPE, seed=0)
    outputs = outputs_of(network, images(), 1.0)

    segmentation_loss(outputs[2], torch.ones(2, 2, 8, 8), "bce+dice").backward()

    taught = {n for n, w in network.named_parameters() if w.grad is not None and w.grad.any()}
    assert "decoder.blocks.1.conv2.0.weight" in taught
    assert not [name for name in taught if name.startswith("decoder.blocks.2")]


def test_networks_of_others_are_refused():
    with pytest.raises(ModelError, match=r"deep_supervision is for .*efficientnet_lite0"):
        build_network("mobilenet_v2", 3, 1, True, seed=0)

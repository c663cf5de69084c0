"""EfficientNet-Lite0 against timm's, bit for bit, and TensorFlow's padding by hand."""

import pytest
import torch
from torch import nn

from roundelay.learning.efficientnet import EfficientNetLite0, SameConv
from roundelay.learning.machine import machine_on
from roundelay.learning.networks import build_network
from roundelay.learning.pretrained import load_encoder
from torchvision_shim import segmentation_models

ENCODER = "efficientnet_lite0"


@pytest.fixture(scope="module")
def theirs():
    """timm's, giving features, with BatchNorm far from the 0 and 1 of the start."""
    segmentation_models()
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model(f"tf_{ENCODER}", pretrained=False, features_only=True)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight.data, module.running_var):
                    tensor.copy_(0.5 + torch.rand(tensor.shape))
                for tensor in (module.bias.data, module.running_mean):
                    tensor.copy_(0.2 * torch.randn(tensor.shape))
    return model


@pytest.fixture
def ours(theirs):
    model = EfficientNetLite0(3)
    model.load_state_dict(theirs.state_dict(), strict=True)
    return model


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sides", [(64, 96), (61, 75)])
def test_its_features_are_timms_at_even_and_odd_sides(ours, theirs, training, sides):
    before = {key: value.clone() for key, value in theirs.state_dict().items()}

    with torch.no_grad():
        found, expected = (m.train(training)(images(2, 3, *sides)) for m in (ours, theirs))

    theirs.load_state_dict(before)
    assert [level.shape[1] for level in found] == [*ours.channels] == [16, 24, 40, 112, 320]
    assert len(found) == len(expected) == 5
    assert all(torch.equal(mine, other) for mine, other in zip(found, expected, strict=True))


def test_names_are_timms_and_what_it_has_on_top_is_passed_over(tmp_path):
    segmentation_models()
    import timm

    state = timm.create_model(f"tf_{ENCODER}", pretrained=False).state_dict()
    torch.save(state, tmp_path / "timm.pth")
    model = build_network(ENCODER, seed=0)

    load_encoder(model, str(tmp_path / "timm.pth"), encoder=ENCODER)

    found = model.get_submodule("encoder").state_dict()
    assert set(state) - set(found) == {
        "conv_head.weight", "classifier.weight", "classifier.bias", "bn2.weight", "bn2.bias",
        "bn2.running_mean", "bn2.running_var", "bn2.num_batches_tracked",
    }  # fmt: skip
    assert all(torch.equal(value, state[key]) for key, value in found.items())


@pytest.mark.parametrize(
    ("length", "side", "expected"),
    [
        (4, 3, [6, 7]),  # 1+2+3, then 3+4 and a 0 on the right
        (5, 3, [3, 9, 9]),  # a 0 on either side
        (4, 5, [10, 9]),  # one 0 on the left, two on the right
        (5, 5, [6, 15, 12]),
        (1, 3, [1]),
    ],
)
def test_padding_at_stride_2_is_tensorflows(length, side, expected):
    conv = SameConv(1, 1, side, 2, bias=False)
    nn.init.zeros_(conv.weight).data[0, 0, side // 2] = 1.0
    row = torch.arange(1.0, length + 1).view(1, 1, 1, length)

    across = conv(row.expand(1, 1, 1, length))
    conv.weight.data = conv.weight.data.transpose(2, 3).contiguous()
    down = conv(row.transpose(2, 3))

    assert across.detach().flatten().tolist() == expected
    assert down.detach().flatten().tolist() == expected


@pytest.mark.parametrize(("channels", "regions"), [(1, 1), (4, 3), (9, 2)])
def test_any_number_of_channels_and_regions_trains_in_bfloat16_and_channels_last(channels, regions):
    machine = machine_on("cpu", bfloat16=True, channels_last=True)
    model = machine.place(build_network(ENCODER, channels, regions, seed=0)).train()

    with machine.autocast():
        logits = model(images(2, channels, 64, 32).to(memory_format=machine.memory_format))
    logits.float().square().mean().backward()

    assert logits.shape == (2, regions, 64, 32)
    assert all(w.grad is not None and w.grad.isfinite().all() for w in model.parameters())


def test_fresh_weights_keep_the_scale_of_what_goes_in():
    model = EfficientNetLite0(3)
    model.load_state_dict(build_network(ENCODER, seed=0).get_submodule("encoder").state_dict())
    seen = {}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(
                lambda _, x, name=name: seen.update({name: float(x[0].var())})
            )

    with torch.no_grad():
        model.train()(images(4, 3, 96, 96))

    assert len(seen) == 48
    assert min(seen.values()) > 0.05, seen  # fifty times BatchNorm's epsilon

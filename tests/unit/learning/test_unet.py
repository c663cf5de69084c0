"""Our U-Net against segmentation-models-pytorch's, bit for bit, and what it refuses."""

import builtins

import pytest
import torch
from torch import nn

from roundelay.errors import MissingExtraError, ModelError
from roundelay.learning.networks import ENCODERS, build_network
from torchvision_shim import segmentation_models

SIZES = {
    "resnet18_quarter": (899_477, 182),
    "resnet18": (14_328_209, 182),
    "resnext50_32x4d": (31_992_977, 380),
    "efficientnet_lite0": (5_198_161, 350),
}


@pytest.fixture(scope="module", autouse=True)
def single_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def smp():
    return segmentation_models()


@pytest.fixture(scope="module", params=("resnet18", "resnext50_32x4d"))
def pair(request, smp):
    """Ours and theirs with the same weights, BatchNorm's far from the 0 and 1 of the start."""
    ours = build_network(request.param, seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(0.2 * torch.randn(tensor.shape, generator=generator))
    theirs = smp.Unet(request.param, encoder_weights=None, in_channels=3, classes=1)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours, theirs


def images(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layout(model):
    return [(key, value.shape, value.dtype) for key, value in model.state_dict().items()]


def test_keys_order_shapes_and_types_are_those_of_smp(pair):
    ours, theirs = pair

    assert layout(ours) == layout(theirs)


def test_weights_load_strictly_both_ways(pair):
    ours, theirs = pair

    theirs.load_state_dict(ours.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)

    names = [name for name, _ in ours.named_parameters()]
    assert names == [name for name, _ in theirs.named_parameters()]


def test_evaluation_is_bit_equal_to_smp(pair):
    ours, theirs = (model.eval() for model in pair)
    x = images(2, 3, 64, 96)

    with torch.no_grad():
        out = ours(x)

        assert out.shape == (2, 1, 64, 96)
        assert torch.equal(out, theirs(x))


def test_training_is_bit_equal_to_smp_and_its_gradients_are_close(pair):
    ours, theirs = (model.train() for model in pair)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    x = images(2, 3, 32, 64)

    out, expected = ours(x), theirs(x)
    for model, logits in ((ours, out), (theirs, expected)):
        model.zero_grad()
        logits.square().mean().backward()

    assert torch.equal(out, expected)
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        scale = gradients[name].norm() + 1e-12
        assert (parameter.grad - gradients[name]).norm() / scale < 1e-3, name
    for model in pair:
        model.load_state_dict(before)


def test_a_fresh_model_has_the_spread_of_a_fresh_model_of_smp(smp):
    ours = dict(build_network("resnet18", seed=3).named_parameters())
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        theirs = dict(smp.Unet("resnet18", encoder_weights=None).named_parameters())

    for name, parameter in theirs.items():
        mine, other = ours[name].detach(), parameter.detach()
        if mine.dim() < 4:
            assert torch.equal(mine, other), name
            continue
        # A uniform draw ends at 1.73 standard deviations, a normal one of this size goes beyond 3.
        reach = mine.abs().max() / mine.std(), other.abs().max() / other.std()
        assert float(mine.std()) == pytest.approx(float(other.std()), rel=0.15), name
        assert (reach[0] > 2.2) == (reach[1] > 2.2), name
    # Glorot's bound, just below that of He: 16 channels in, one out, 9 weights each.
    assert ours["segmentation_head.0.weight"].abs().max() < (6 / (9 * 17)) ** 0.5


@pytest.mark.parametrize("encoder", ENCODERS)
def test_parameters_and_entries_are_as_many_as_published(encoder):
    model = build_network(encoder, seed=0)

    found = sum(p.numel() for p in model.parameters()), len(model.state_dict())

    assert found == SIZES[encoder]


def test_a_seed_gives_its_weights_and_leaves_the_global_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()

    one, same, other = (build_network("resnet18", seed=seed).state_dict() for seed in (1, 1, 2))

    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    weight = "encoder.layer4.1.conv2.weight"
    assert not torch.equal(one[weight], other[weight])


@pytest.mark.parametrize(("height", "width"), [(64, 80), (80, 64)])
def test_sides_must_be_multiples_of_32(height, width):
    model = build_network("resnet18", seed=0)

    with pytest.raises(ValueError, match=rf"multiples of 32, not \({height}, {width}\)"):
        model(torch.zeros(1, 3, height, width))


def test_other_encoders_come_from_smp_and_obey_the_seed_too(smp):
    torch.manual_seed(5)
    before = torch.get_rng_state()

    one, same = (build_network("mobilenet_v2", seed=1).state_dict() for _ in range(2))

    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("resnext50_32x4", "resnext50_32x4d"),
        ("resnet-18", "resnet18"),
        ("tu-resnet27", "tu-resnet26"),
    ],
)
def test_an_unknown_encoder_is_refused_with_the_nearest_name(smp, wrong, right):
    with pytest.raises(ModelError, match=f"no encoder '{wrong}'. Did you mean '{right}'?"):
        build_network(wrong, seed=0)


def test_a_known_network_that_is_no_encoder_is_refused(smp):
    with pytest.raises(ModelError, match="'tu-vit_tiny_patch16_224' gives no U-Net"):
        build_network("tu-vit_tiny_patch16_224", seed=0)


def refuse(monkeypatch, error):
    real = builtins.__import__

    def importing(name, *args, **kwargs):
        if name.startswith("segmentation_models_pytorch"):
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch):
    refuse(monkeypatch, ModuleNotFoundError("No module named 'segmentation_models_pytorch'"))

    with pytest.raises(MissingExtraError, match=r"'resnet34' needs the extra 'smp'[^$]*\[smp\]"):
        build_network("resnet34", seed=0)


def test_a_torchvision_of_another_torch_is_named(monkeypatch):
    refuse(monkeypatch, RuntimeError("operator torchvision::nms does not exist"))

    with pytest.raises(ModelError, match=r"'resnet34' needs torchvision.*does not fit torch"):
        build_network("resnet34", seed=0)


def test_one_of_ours_that_is_misspelt_is_answered_with_its_name_whether_smp_is_there_or_not():
    with pytest.raises(ModelError, match="Did you mean 'resnet18_quarter'"):
        build_network("resnet18_quater", seed=0)

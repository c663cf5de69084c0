"""Weights of an encoder from elsewhere: a local file, or ImageNet's; strictly, or not at all."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from roundelay.errors import ModelError
from roundelay.files.regular import file_digest
from roundelay.learning.imagenet import imagenet_weights

WRAPPERS = ("state_dict", "model_state_dict", "model")

PREFIXES = ("module.", "model.", "encoder.")

PASSED_OVER = ("fc.", "decoder.", "segmentation_head.")

TOPS = {"efficientnet_lite0": ("conv_head.", "bn2.", "classifier.")}
"""What timm's and smp's networks have above this encoder."""

SHOWN = 3


def load_encoder(model: nn.Module, weights: str, *, encoder: str, sha256: str = "") -> None:
    """Put `weights` into the encoder of `model`: all of them, or none and an error.

    ``none``: nothing. ``imagenet``: through an extra. Else a ``.safetensors`` or ``.pth`` file
    with the keys of torchvision, timm or smp (``fc.*`` and a decoder's keys are passed over).
    Raises ModelError for a file that can't be read, has another digest than `sha256` where that is
    given, or doesn't fit to the last key, shape and finite value, MissingExtraError without the
    extra.
    """
    if weights == "none":
        return
    target = model.get_submodule("encoder")
    wanted: dict[str, Tensor] = target.state_dict()
    if weights == "imagenet":
        loaded = imagenet_weights(encoder, _channels(target))
    else:
        loaded = _read(Path(weights))
        _refuse_another(Path(weights), sha256)
    found, faults = _named(loaded, wanted, (*PASSED_OVER, *TOPS.get(encoder, ())))
    faults += _misfits(found, wanted)
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ModelError(
            f"The weights '{weights}' do not fit encoder '{encoder}':"
            f" {'; '.join(faults[:SHOWN])}{more}. Nothing was loaded."
        )
    counters = {key: value for key, value in wanted.items() if _is_counter(key)}
    target.load_state_dict({**counters, **found})


def _refuse_another(path: Path, wanted: str) -> None:
    if wanted and (found := file_digest(path)) != wanted:
        raise ModelError(
            f"'{path}' is not the file of weights that the study means: its SHA-256 begins with"
            f" {found[:12]}, weights_sha256 with {wanted[:12]}. Nothing was loaded."
        )


def _channels(encoder: nn.Module) -> int:
    """How many channels go in."""
    return next(m.in_channels for m in encoder.modules() if isinstance(m, nn.Conv2d))


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ModelError(
            f'There is no weights file \'{path}\'. weights is "none", "imagenet" or a file.'
        )
    try:
        loaded = _load(path)
    except Exception as error:  # a damaged file may raise nearly anything from within the readers
        raise ModelError(
            f"'{path}' is no weights file that can be read safely ({type(error).__name__})."
            " Save the encoder's state_dict as .safetensors, or as .pth with tensors only."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()
    ):
        raise ModelError(f"'{path}' holds no state_dict: names with tensors are expected.")
    return loaded


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    with warnings.catch_warnings():  # of what the file is, which is refused or taken here
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _named(
    loaded: Mapping[str, Tensor], wanted: Mapping[str, Tensor], passed_over: tuple[str, ...]
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors by the encoder's own names, and names that come twice."""
    found: dict[str, Tensor] = {}
    twice = []
    for key, value in loaded.items():
        name = key
        while name not in wanted and name.startswith(PREFIXES):
            name = name.split(".", 1)[1]
        if name in found:
            twice.append(f"{name} comes twice")
        elif not name.startswith(passed_over):
            found[name] = value
    return found, twice


def _misfits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    needed = {key for key in wanted if not _is_counter(key)}
    faults = [f"{key} is missing" for key in sorted(needed - found.keys())]
    faults += [f"{key} is not expected" for key in sorted(found.keys() - wanted.keys())]
    for key in sorted(found.keys() & wanted.keys()):
        value, own = found[key], wanted[key]
        if value.shape != own.shape:
            faults.append(f"{key} is {tuple(value.shape)}, not {tuple(own.shape)}")
        elif value.is_floating_point() != own.is_floating_point():
            faults.append(f"{key} is {value.dtype}, not {own.dtype}")
        elif not torch.isfinite(value.to(own.dtype)).all():
            faults.append(f"{key} holds values that are not finite")
    return faults

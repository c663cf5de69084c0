"""Weights of an encoder from elsewhere: a local file, or ImageNet's through the extra ``smp``."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from roundelay.errors import MissingExtraError, ModelError

WRAPPERS = ("state_dict", "model", "model_state_dict")
PREFIXES = ("module.", "model.", "encoder.")
NOT_ENCODER = ("fc.", "decoder.", "segmentation_head.")


def load_encoder(model: nn.Module, weights: str, *, encoder: str) -> None:
    """Put `weights` into the encoder of `model`, strictly.

    ``none``: nothing. ``imagenet``: through the extra. Else a ``.safetensors`` or ``.pth`` file
    with the keys of torchvision, timm or smp (``fc.*`` and a decoder are passed over). Raises
    ModelError for anything that doesn't fit to the last value, MissingExtraError without smp.
    """
    if weights == "none":
        return
    found = _imagenet(encoder) if weights == "imagenet" else _plain(_read(Path(weights)))
    target: Any = model.get_submodule("encoder")
    wanted = target.state_dict()
    _check(found, wanted, weights, encoder)
    counters = {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")}
    target.load_state_dict({**counters, **found}, strict=True)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(
            f"The weights {path} are missing. Give a file, 'imagenet' or 'none'."
        ) from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        UnpicklingError,
        safetensors.SafetensorError,
    ) as e:
        raise ModelError(
            f"{path} is no file of weights that can be read safely ({type(e).__name__})."
            " Save the encoder's state_dict as .safetensors."
        ) from e
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ModelError(f"{path} holds no state_dict: expected names with tensors.")
    return loaded


def _plain(loaded: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without wrappers' prefixes, classifier and decoder."""
    names = {name: name for name in loaded}
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in names.values()):
            names = {key: name.removeprefix(prefix) for key, name in names.items()}
    return {name: loaded[key] for key, name in names.items() if not name.startswith(NOT_ENCODER)}


def _imagenet(encoder: str) -> dict[str, Tensor]:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise MissingExtraError("weights = 'imagenet'", "smp") from error
    try:
        source = smp.encoders.get_encoder(encoder, weights="imagenet")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            f"ImageNet weights of {encoder} can't be fetched ({type(error).__name__}: offline?)."
            " Save the encoder's state_dict where there is a network and give the file:"
            ' weights = "encoder.safetensors".'
        ) from error
    return dict(source.state_dict())


def _check(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], weights: str, encoder: str
) -> None:
    needed = {key for key in wanted if not key.endswith("num_batches_tracked")}
    faults = [f"missing {key}" for key in sorted(needed - found.keys())]
    faults += [f"unexpected {key}" for key in sorted(found.keys() - wanted.keys())]
    for key in sorted(found.keys() & wanted.keys()):
        if found[key].shape != wanted[key].shape:
            faults.append(f"{key} is {tuple(found[key].shape)}, not {tuple(wanted[key].shape)}")
        elif not torch.isfinite(found[key]).all():
            faults.append(f"{key} holds values that are not finite")
    if faults:
        raise ModelError(
            f"The weights {weights} do not fit the encoder {encoder}: {len(faults)} faults,"
            f" first: {'; '.join(faults[:3])}."
        )

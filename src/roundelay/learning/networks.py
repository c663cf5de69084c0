"""Networks by the name of their encoder: ours, and others through the extra ``smp``."""

import difflib
from typing import Any

import torch
from torch import nn

from roundelay.errors import MissingExtraError, ModelError
from roundelay.learning.unet import ENCODERS, build_unet, seeded


def build_network(
    encoder: str, channels: int = 3, regions: int = 1, deep: bool = False, *, seed: int
) -> nn.Module:
    """A U-Net with random weights of `seed`; the global random state stays as it was.

    ``resnet18`` and ``resnext50_32x4d`` are ours; other names come through the extra ``smp``.
    With `deep`, one of ours has the heads of deep supervision. Raises MissingExtraError without
    the extra, ModelError for a name that it doesn't know, and where another's network is `deep`.
    """
    if encoder in ENCODERS:
        return build_unet(encoder, channels, regions, deep, seed=seed)
    if near := difflib.get_close_matches(encoder, ENCODERS, n=1, cutoff=0.87):
        raise ModelError(f"There is no encoder '{encoder}'. Did you mean '{near[0]}'?")
    if deep:
        raise ModelError(
            f"deep_supervision is for {', '.join(ENCODERS)}, not for encoder '{encoder}'. Choose"
            " one of them, or deep_supervision = 0."
        )
    with seeded(seed):
        return _from_smp(encoder, channels, regions)


def import_smp(what: str) -> Any:
    """segmentation_models_pytorch, for `what` needs it.

    Raises MissingExtraError where it isn't installed, ModelError where it can't be loaded.
    """
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise MissingExtraError(what, "smp") from error
    except RuntimeError as error:  # torchvision's compiled part was made for another torch
        raise ModelError(
            f"{what} needs torchvision, and the one installed here does not fit torch"
            f" {torch.__version__} ({error}). Install the torchvision made for this torch."
        ) from error
    return smp


def _from_smp(encoder: str, channels: int, regions: int) -> nn.Module:
    smp = import_smp(f"Encoder '{encoder}'")
    known = [*smp.encoders.get_encoder_names()]
    if encoder.startswith("tu-"):
        import timm

        known = [f"tu-{name}" for name in timm.list_models()]
    # What follows a point is the name of timm's weights: tu-convnext_tiny.fb_in1k.
    if encoder.split(".")[0] not in known:
        near = difflib.get_close_matches(encoder, [*ENCODERS, *known], n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(f"There is no encoder '{encoder}'.{hint}")
    try:
        model: nn.Module = smp.Unet(
            encoder, encoder_weights=None, in_channels=channels, classes=regions
        )
    except (RuntimeError, ValueError, AttributeError, KeyError) as error:
        raise ModelError(f"Encoder '{encoder}' gives no U-Net of five levels: {error}.") from error
    return model

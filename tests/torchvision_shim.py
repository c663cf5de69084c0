"""Lets tests import segmentation-models-pytorch where torchvision was built for another torch."""

import importlib.util
import sys
import warnings

import pytest
import torch

_KEEP = []
"""The library's registrations last as long as the object does."""


def ensure_torchvision():
    """Import torchvision; "native" where that works, "shim" where its operators had to be named.

    Without its compiled part torchvision fails on the declaration of nms, which no U-Net uses.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    else:
        return "native"
    for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[module]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEEP.append(library)
    import torchvision  # noqa: F401

    return "shim"


def segmentation_models():
    """segmentation_models_pytorch; the test is skipped where it isn't installed."""
    if importlib.util.find_spec("segmentation_models_pytorch") is None:
        pytest.skip("the oracle is missing: pip install 'roundelay[smp]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ensure_torchvision()
        import segmentation_models_pytorch

    return segmentation_models_pytorch

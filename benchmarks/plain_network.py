"""What others' network is measured beside: opened patients, and the same U-Net from the library."""

import sys
from pathlib import Path

import torch

from roundelay.couriers.here import HereCourier
from roundelay.errors import MissingExtraError
from roundelay.learning.machine import Machine
from roundelay.study.study import Study

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SITE = "chunk-1"


def smp_unet(encoder: str) -> torch.nn.Module:
    """The reference library's network; its import needs a torchvision that fits torch."""
    from torchvision_shim import ensure_torchvision

    ensure_torchvision()
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise MissingExtraError("The comparison", "smp") from error
    network: torch.nn.Module = smp.Unet(encoder, encoder_weights=None, in_channels=3, classes=1)
    return network


def open_and_read(study: Study, machine: Machine, home: Path) -> HereCourier:
    """A courier whose one site has all its slices in memory."""
    courier = HereCourier(study, home=home, machine=machine, on_step=lambda _: None)
    local_site = courier.local_site(SITE)
    for patient in local_site.patients:
        for number in range(len(patient.images)):
            local_site.cache.slice(patient, number)
    return courier

"""Where the network computes, and in which precision: measured once in under two seconds, kept."""

import json
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from roundelay.errors import UserError
from roundelay.files.cache import cache_folder
from roundelay.files.writing import write_json
from roundelay.learning.networks import build_unet

PROBE, PROBE_VERSION = "probe.json", 1


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and how the network computes. Equal machines give equal bytes."""

    device: str
    bfloat16: bool
    channels_last: bool

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.bfloat16)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, model: nn.Module) -> nn.Module:
        """The network, moved to where it computes."""
        network: Any = model  # PyTorch's stubs don't know the keyword
        placed: nn.Module = network.to(self.device, memory_format=self.memory_format)
        return placed

    def __str__(self) -> str:
        return (
            f"torch {torch.__version__}, {self.device}, {torch.get_num_threads()} threads,"
            f" {'bfloat16' if self.bfloat16 else 'float32'}"
            f"{', channels_last' if self.channels_last else ''}"
        )


def find_machine(precision: str, *, deterministic: bool = False) -> Machine:
    """A GPU where there is one; ``auto`` takes what the probe finds fastest, or finds in its cache.

    In deterministic mode nothing is measured: ``auto`` is float32.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision != "auto" or deterministic:
        return Machine(device, precision == "bfloat16", precision == "bfloat16")
    if device == "cuda":
        return Machine(device, torch.cuda.is_bf16_supported(), True)
    key = f"{PROBE_VERSION}/{torch.__version__}/{_processor()}/{torch.get_num_threads()}"
    known = _kept()
    if key not in known:
        known[key] = _fastest()
        with suppress(OSError, UserError):  # nothing is lost: it is measured again
            write_json(cache_folder() / PROBE, known)
    bfloat16, channels_last = known[key]
    return Machine(device, bfloat16, channels_last)


def _fastest() -> tuple[bool, bool]:
    """Time a forward and a backward pass of a small batch for each setting, after a warm-up."""
    model = build_unet("resnet18", seed=0)
    images = torch.zeros(2, 3, 96, 96)
    settings = [(False, False), (False, True), (True, False), (True, True)]
    seconds = {setting: _seconds(model, images, Machine("cpu", *setting)) for setting in settings}
    return min(settings, key=lambda setting: seconds[setting])


def _seconds(model: nn.Module, images: torch.Tensor, machine: Machine) -> float:
    model = machine.place(model)
    images = images.to(memory_format=machine.memory_format)
    best = float("inf")
    for _ in range(2):
        begin = time.perf_counter()
        with machine.autocast():
            loss = model(images).float().square().mean()
        loss.backward()
        best = min(best, time.perf_counter() - begin)
        model.zero_grad()
    return best


def _kept() -> dict[str, tuple[bool, bool]]:
    try:
        kept = json.loads((cache_folder() / PROBE).read_text(encoding="utf-8"))
        return {key: (bool(a), bool(b)) for key, (a, b) in kept.items()}
    except (OSError, UserError, ValueError, AttributeError, TypeError):
        return {}  # nothing is lost: it is measured again


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()

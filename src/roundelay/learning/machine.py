"""Where the network computes, and in which precision: measured once in under two seconds, kept."""

import json
import platform
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from roundelay.errors import UserError
from roundelay.files.cache import cache_folder
from roundelay.files.regular import plain_bytes
from roundelay.files.writing import write_json
from roundelay.learning.cpu.fused import fuse
from roundelay.learning.cpu.replace import keep_in_bfloat16, replace_convolutions
from roundelay.learning.networks import build_network

PROBE, PROBE_VERSION, TURNS = "probe.json", 2, 4

DEVICES = ("auto", "cpu", "cuda", "mps")

NUMBERED = re.compile(r"cuda:(0|[1-9][0-9]?)")
"""One of several GPUs of NVIDIA."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and how the network computes. Equal machines give equal bytes."""

    device: str
    bfloat16: bool
    channels_last: bool
    cpu_kernels: bool = False
    """Whether `place` replaces layers by the forms of ``learning.cpu``: the last bits differ."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Machine":
        """As `as_json` wrote it. Raises ValueError for anything else.

        A record from before `cpu_kernels` stood in it is completed with what was computed then:
        the fast forms, in bfloat16 on a processor.
        """
        fast = value.get("device") == "cpu" and value.get("bfloat16") is True
        values = {"cpu_kernels": fast, **value}
        device = values.pop("device", None)
        switches = ("bfloat16", "channels_last", "cpu_kernels")
        if (
            not (device in DEVICES[1:] or (isinstance(device, str) and NUMBERED.fullmatch(device)))
            or sorted(values) != sorted(switches)
            or not all(isinstance(switch, bool) for switch in values.values())
        ):
            raise ValueError(f"no machine is described by {dict(value)}")
        return cls(device, **values)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def autocast(self) -> torch.autocast:
        kind = self.device.partition(":")[0]
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.bfloat16)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, model: nn.Module) -> nn.Module:
        """The network, moved to where it computes."""
        network: Any = model  # PyTorch's stubs don't know the keyword
        placed: nn.Module = network.to(self.device, memory_format=self.memory_format)
        if self.cpu_kernels:
            replace_convolutions(placed)
        return placed

    def place_to_predict(self, model: nn.Module) -> nn.Module:
        """The same for a network that trains no more: to the bit what `place` gives, sooner."""
        placed = self.place(model).eval()
        if self.device == "cpu" and self.bfloat16:
            keep_in_bfloat16(placed)
        return placed

    def place_to_infer(self, model: nn.Module) -> nn.Module:
        """For other patients than a run's, whose scores are compared to the bit: sooner still. On a
        processor what it gives differs by the order of sums."""
        kind = torch.bfloat16 if self.bfloat16 else torch.float32
        if self.device == "cpu" and fuse(model, kind):
            return model.eval()
        return self.place_to_predict(model)

    def __str__(self) -> str:
        threads = torch.get_num_threads()
        return (
            f"torch {torch.__version__}, {self.device}, {threads} thread{'s' * (threads != 1)},"
            f" {'bfloat16' if self.bfloat16 else 'float32'}"
            f"{', channels_last' if self.channels_last else ''}"
            f"{', fast convolutions' if self.cpu_kernels else ''}"
        )


def machine_on(device: str, bfloat16: bool, channels_last: bool) -> Machine:
    """These settings on a device: with the fast forms where they make a difference."""
    return Machine(device, bfloat16, channels_last, cpu_kernels=device == "cpu" and bfloat16)


def find_device(wanted: str) -> str:
    """The device of that name; for ``auto`` a GPU of NVIDIA where there is one, else the processor.
    ``cuda:1`` is the second of several GPUs.

    Raises UserError where it isn't there.
    """
    if NUMBERED.fullmatch(wanted):
        return _numbered(wanted)
    if wanted not in DEVICES:
        names = f"{', '.join(DEVICES)}, or cuda:1 for the second GPU"
        raise UserError(f"There is no device {wanted!r}. Choose one of {names}.")
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if wanted == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there[wanted]:
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise UserError(
            f"The device {wanted} isn't there, as PyTorch {torch.__version__} sees this machine; it"
            f" finds: {found}. Choose another --device."
        )
    return wanted


def _numbered(wanted: str) -> str:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(wanted.removeprefix("cuda:")) >= count:
        found = (
            f"{count} GPU{'s' * (count != 1)} of NVIDIA, counted from cuda:0" if count else "none"
        )
        raise UserError(
            f"The device {wanted} isn't there: PyTorch {torch.__version__} finds {found}. Choose"
            " another --device."
        )
    return wanted


def find_machine(precision: str, *, deterministic: bool = False, device: str = "auto") -> Machine:
    """The device as `find_device` finds it; ``auto`` precision is what the probe finds fastest.

    In deterministic mode nothing is measured: ``auto`` is float32, as it is on ``mps``. Raises
    UserError where the device isn't there, or the precision isn't had on it.
    """
    found = find_device(device)
    if found == "mps" and precision == "bfloat16":
        raise UserError(
            'The study wants precision = "bfloat16", and on the device mps only float32 is'
            " computed. Choose another precision, or another --device."
        )
    if precision != "auto" or deterministic or found == "mps":
        return machine_on(found, precision == "bfloat16", precision == "bfloat16")
    if found.startswith("cuda"):
        # Emulated, it is slower than float32.
        return machine_on(found, torch.cuda.is_bf16_supported(including_emulation=False), True)
    return machine_on(found, *_probed())


def _probed() -> tuple[bool, bool]:
    """The fastest setting of this processor, from the cache on disk where it stands there."""
    key = f"{PROBE_VERSION}/{torch.__version__}/{processor()}/{torch.get_num_threads()}"
    known = _kept()
    if key not in known:
        known[key] = _fastest()
        with suppress(OSError, UserError):  # nothing is lost: it is measured again
            write_json(cache_folder() / PROBE, known)
    return known[key]


def _fastest() -> tuple[bool, bool]:
    """Time a forward and a backward pass of a small batch for each setting, after a warm-up.

    By turns, and the best of each counts: what else the machine does for a moment is no reason.
    """
    settings = [(False, False), (False, True), (True, False), (True, True)]
    machines = {setting: machine_on("cpu", *setting) for setting in settings}
    models = {s: m.place(build_network("resnet18", seed=0)) for s, m in machines.items()}
    seconds = dict.fromkeys(settings, float("inf"))
    for _ in range(TURNS):
        for setting in settings:
            now = _seconds(models[setting], machines[setting])
            seconds[setting] = min(seconds[setting], now)
    return min(settings, key=lambda setting: seconds[setting])


def _seconds(model: nn.Module, machine: Machine) -> float:
    images = torch.zeros(2, 3, 96, 96).to(memory_format=machine.memory_format)
    begin = time.perf_counter()
    with machine.autocast():
        loss = model(images).float().square().mean()
    loss.backward()
    seconds = time.perf_counter() - begin
    model.zero_grad()
    return seconds


def _kept() -> dict[str, tuple[bool, bool]]:
    try:
        kept = json.loads(plain_bytes(cache_folder() / PROBE))
        return {key: (bool(a), bool(b)) for key, (a, b) in kept.items()}
    except (OSError, UserError, ValueError, AttributeError, TypeError):
        return {}  # nothing is lost: it is measured again


def processor() -> str:
    """The processor's model, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()

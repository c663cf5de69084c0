"""Where the network computes: what can be chosen, what stands in the record, what is placed."""

import pytest
import torch

from roundelay.errors import DiskFullError, UserError
from roundelay.learning import machine as machines
from roundelay.learning.cpu.convolution import Pointwise
from roundelay.learning.machine import Machine, find_device, find_machine, machine_on
from roundelay.learning.networks import build_network


@pytest.fixture
def devices(monkeypatch):
    """Pretend that a machine has these devices beside its processor."""

    def have(*names):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)

    return have


def test_auto_is_a_gpu_of_nvidia_where_there_is_one_and_else_the_processor(devices):
    devices("cuda", "mps")
    assert find_device("auto") == "cuda"
    devices("mps")
    assert find_device("auto") == "cpu"


def test_a_device_is_taken_by_its_name(devices):
    devices("cuda", "mps")

    assert [find_device(name) for name in ("cpu", "cuda", "mps")] == ["cpu", "cuda", "mps"]


def test_a_device_that_is_not_there_is_refused_with_those_that_are(devices):
    devices("mps")

    with pytest.raises(UserError, match=r"The device cuda isn't there.* it\s+finds: cpu, mps\."):
        find_machine("float32", device="cuda")


def test_one_of_several_gpus_is_taken_by_its_number(devices, monkeypatch):
    devices("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == "cuda:1"
    with pytest.raises(UserError, match=r"cuda:2 isn't there: .* 2 GPUs of NVIDIA, counted from"):
        find_device("cuda:2")
    with pytest.raises(UserError, match="no device 'cuda:x'"):
        find_device("cuda:x")
    kept = machine_on("cuda:1", True, True)
    assert Machine.from_json(kept.as_json()) == kept
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda kind, **_: asked.append(kind))
    kept.autocast()
    assert asked == ["cuda"]  # a kind of device, without a number


def test_bfloat16_that_is_only_emulated_is_not_taken(devices, monkeypatch):
    devices("cuda")
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    assert not find_machine("auto").bfloat16


def test_an_unknown_device_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"no device 'gpu'\. Choose one of auto, cpu, cuda, mps"):
        find_device("gpu")


def test_the_fast_forms_are_chosen_where_they_make_a_difference(devices):
    devices("cuda")

    chosen = {
        (device, precision): find_machine(precision, device=device).cpu_kernels
        for device in ("cpu", "cuda")
        for precision in ("float32", "bfloat16")
    }

    assert [where for where, fast in chosen.items() if fast] == [("cpu", "bfloat16")]


def test_mps_computes_in_float32_and_says_so_where_a_study_wants_another(devices):
    devices("mps")

    assert find_machine("auto", device="mps") == Machine("mps", False, False)
    with Machine("mps", False, False).autocast():
        assert not torch.is_autocast_enabled("mps")
    with pytest.raises(UserError, match=r'precision = "bfloat16".*mps only float32'):
        find_machine("bfloat16", device="mps")


@pytest.mark.parametrize("bfloat16", [False, True])
def test_what_it_places_has_the_fast_forms_only_where_it_says_so(bfloat16):
    machine = machine_on("cpu", bfloat16, True)

    placed = machine.place(build_network("resnet18_quarter", seed=0))

    assert any(isinstance(layer, Pointwise) for layer in placed.modules()) == bfloat16
    assert ("fast convolutions" in str(machine)) == bfloat16


@pytest.mark.parametrize(
    "machine", [Machine("cpu", True, False, True), Machine("cuda", True, True)]
)
def test_a_record_gives_the_same_machine_again(machine):
    assert Machine.from_json(machine.as_json()) == machine


@pytest.mark.parametrize(
    ("device", "bfloat16", "fast"),
    [("cpu", True, True), ("cpu", False, False), ("cuda", True, False)],
)
def test_a_record_from_before_is_completed_with_what_was_computed_then(device, bfloat16, fast):
    then = {"device": device, "bfloat16": bfloat16, "channels_last": True}

    assert Machine.from_json(then) == Machine(device, bfloat16, True, cpu_kernels=fast)


@pytest.mark.parametrize(
    "change",
    [
        {"device": "auto"},
        {"device": None},
        {"bfloat16": "no"},
        {"channels_last": 1},
        {"more": True},
    ],
    ids=str,
)
def test_a_record_that_describes_no_machine_is_refused(change):
    with pytest.raises(ValueError, match="no machine is described"):
        Machine.from_json(Machine("cpu", False, False).as_json() | change)


@pytest.mark.parametrize("error", [PermissionError("no"), DiskFullError("full")])
def test_a_probe_that_cannot_be_kept_is_used_all_the_same(error, monkeypatch, tmp_path):
    def refuse(*_):
        raise error

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machines, "write_json", refuse)
    monkeypatch.setattr(machines, "_fastest", lambda: (True, False))

    assert find_machine("auto", device="cpu") == Machine("cpu", True, False, cpu_kernels=True)

"""What a run does to the process that calls it, and on what a resumed run computes."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

import roundelay
from roundelay.cli import app, inference, run
from roundelay.errors import RunFolderError, UserError
from roundelay.learning.cpu.heap import keep_freed_memory
from roundelay.learning.machine import Machine
from roundelay.phantom.cohort import make_toy
from roundelay.running.starting import machine_for
from surveys import study


@pytest.fixture(scope="module")
def plan(module_path):
    data = make_toy(
        module_path / "data", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=2, size=32
    )
    return study(
        data={
            "root": str(data), "size": 32,
            "split": {"validation": 0.0, "test": 0.0},
        },
        model={"encoder": "resnet18_quarter"},
        recipe={"rounds": 1, "steps": 1, "work": "equal", "batch": 2, "deterministic": True},
        evaluation={"samples": False},
        courier={"threads": 1},
    )  # fmt: skip


@contextmanager
def other_settings():
    """Other settings than the study's; what `state` gives must be the same afterwards."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(2)
    torch.set_deterministic_debug_mode(0)
    yield state()
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture
def found():
    with other_settings() as settings:
        yield settings


@pytest.fixture(scope="module")
def ran(plan, module_path):
    """A run: its folder, and the settings of the process before, at each event, and after."""
    within = []
    with other_settings() as before:
        place = module_path / "RUN"
        roundelay.run(plan, place, device="cpu", on_event=lambda _: within.append(state()))
        return SimpleNamespace(place=place, before=before, within=within, after=state())


def state():
    """Settings of the process, and how often its allocator was asked to keep memory."""
    calls = keep_freed_memory.cache_info()
    return torch.get_num_threads(), torch.get_deterministic_debug_mode(), calls.hits + calls.misses


def test_a_run_in_a_notebook_leaves_the_process_as_it_found_it(ran):
    threads, deterministic, allocator = ran.before
    assert (threads, deterministic) == (2, 0)
    assert set(ran.within) == {(1, 2, allocator)}
    assert ran.after == ran.before


def test_a_run_that_fails_leaves_it_so_too(plan, found, tmp_path):
    def fail(_):
        assert state() != found
        raise KeyError("the watcher")

    with pytest.raises(KeyError, match="the watcher"):
        roundelay.run(plan, tmp_path / "RUN", on_event=fail)

    assert state() == found


def test_the_command_line_keeps_what_training_frees(plan, tmp_path, monkeypatch):
    kept = []
    for commands in (app, run, inference):
        monkeypatch.setattr(commands, "keep_freed_memory", lambda: kept.append(True))
    file = tmp_path / "study.toml"
    file.write_text(f'name = "toy"\n[data]\nroot = "{plan.data.root}"\n')

    # An absent device ends each of them before it computes anything.
    for command in (
        ["run", str(file), "--out", str(tmp_path / "RUN")],
        ["run", str(file), "--out", str(tmp_path / "RUN"), "--leave-one-site-out"],
        ["check", str(file)],
        ["demo", "--out", str(tmp_path / "DEMO")],
        ["evaluate", "model", "data"],
        ["predict", "model", "data", "--out", str(tmp_path / "OUT")],
    ):
        assert app.run_app([*command, "--device", "abacus"]) == UserError.exit_code
        assert kept.pop(), command
    assert {path.name for path in tmp_path.iterdir()} == {"study.toml"}


def test_the_record_says_how_the_network_was_computed(plan, ran):
    record = json.loads((ran.place / "run.json").read_text())

    assert record["machine"] == {
        "device": "cpu", "bfloat16": False, "channels_last": False, "cpu_kernels": False,
    }  # fmt: skip
    assert (
        machine_for(plan, record)
        == machine_for(plan, record, "cpu")
        == Machine("cpu", False, False)
    )


def test_a_run_of_an_earlier_version_goes_on_as_it_computed_then(plan):
    record = {"machine": {"device": "cpu", "bfloat16": True, "channels_last": True}}

    assert machine_for(plan, record).cpu_kernels


def test_a_resumed_run_stays_on_its_device(plan):
    record = {"machine": Machine("cpu", False, False).as_json()}

    with pytest.raises(RunFolderError, match=r"begun on the device cpu and can't go on.*cuda"):
        machine_for(plan, record, "cuda")


def test_a_run_whose_device_is_gone_is_refused_but_not_where_hospitals_compute(plan, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    record = {"machine": Machine("cuda", False, False).as_json()}

    with pytest.raises(RunFolderError, match=r"begun on the device cuda, which isn't there now"):
        machine_for(plan, record)
    assert machine_for(plan, record | {"network": {}}).device == "cuda"


@pytest.mark.parametrize("record", [{}, {"machine": None}, {"machine": {"device": "tpu"}}], ids=str)
def test_a_record_that_names_no_machine_is_refused(plan, record):
    with pytest.raises(RunFolderError, match=r"run\.json does not say on what its run was begun"):
        machine_for(plan, record)

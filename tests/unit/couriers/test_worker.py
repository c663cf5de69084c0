"""What a worker process does on a turn: how it is set up, where it computes, what it keeps."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from roundelay.couriers.ray import turns
from roundelay.couriers.ray.worker import Setting, Worker
from roundelay.errors import UserError
from roundelay.learning.machine import Machine
from roundelay.phantom.cohort import make_toy
from surveys import study


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Ask a process on a machine with these devices; what it opened its patients with."""
    opened, set_up = [], []
    monkeypatch.setattr(
        turns, "set_up_process", lambda *given, **named: set_up.append((given, named))
    )
    monkeypatch.setattr(
        turns,
        "open_local_site",
        lambda *_, machine, **__: opened.append(machine) or SimpleNamespace(patients=()),
    )
    monkeypatch.setattr(turns, "survey", lambda _: "counted")

    def ask_one(machine, device, gpu=False):
        monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
        plan = study(recipe={"deterministic": True})
        setting = Setting(plan, tmp_path, machine, device, 3)
        return Worker().take("survey", setting, "NORTH", ())[0], opened, set_up

    return ask_one


def test_it_is_set_up_before_it_opens_anything(ask):
    answer, _, set_up = ask(Machine("cpu", False, False), "auto")

    assert answer.value == ("counted", (), ())
    assert set_up == [((3,), {"deterministic": True})]


def test_it_takes_the_gpu_that_its_machine_has_where_the_driver_took_what_there_is(ask):
    _, opened, _ = ask(Machine("cpu", True, True, cpu_kernels=True), "auto", gpu=True)

    assert opened == [Machine("cuda", True, True)]


def test_it_stays_on_a_device_that_was_chosen(ask):
    machine = Machine("cpu", True, True, cpu_kernels=True)

    _, opened, _ = ask(machine, "cpu", gpu=True)

    assert opened == [machine]


def test_a_chosen_device_that_it_lacks_is_answered_with_a_sentence(ask):
    answer, opened, _ = ask(Machine("cuda", True, True), "cuda")

    assert (answer.error, opened) == (UserError, [])
    assert "The device cuda isn't there" in answer.value


TURNS = """
import gc, json, sys, weakref
from pathlib import Path
import numpy as np
from roundelay.couriers.ray import turns
from roundelay.couriers.ray.worker import Setting, Worker
from roundelay.data import slice_cache
from roundelay.learning.machine import machine_on
from roundelay.plan.arms import lay
from roundelay.running.starting import start_baton
from roundelay.site import training
from roundelay.site.cohort import open_sites
from roundelay.study.study import Study

plan, home = Study.model_validate_json(sys.argv[1]), Path(sys.argv[2])
sites = open_sites(plan)
touched, met = [], []
sys.addaudithook(lambda event, args: touched.append(str(args[0])) if event == "open" else None)
at_hand, place = turns.at_hand, training.load_model
turns.at_hand = lambda *a, **k: met.append(weakref.ref((one := at_hand(*a, **k)).cache)) or one
training.load_model = lambda *a: met.append(weakref.ref(one := place(*a))) or one
taking, setting = Worker(), Setting(plan, home, machine_on("cpu", False, False), "cpu", 1)
gc.disable()  # what is let go of is, without luck

told = {}
def after(site, verb):
    opened = [name for name in touched if name.endswith((".tif", ".npy"))]
    mapped = "slices" in Path("/proc/self/maps").read_text() if sys.platform == "linux" else False
    told[f"{site} {verb}"] = [opened, mapped, [one() is not None for one in met]]
    touched.clear()

found = {}
for site in sites:
    counts, found[site], _ = taking.take("survey", setting, site, sites[site])[0].value
    found[site] = counts, found[site]
    after(site, "survey")
legs = lay(plan, {site: counts for site, (counts, _) in found.items()})[0].legs
data = np.frombuffer(start_baton(plan, 0).data, np.uint8)
for leg in legs:
    (stop,) = leg.stops
    answer, data = taking.take("train", setting, stop.site, found[stop.site][1], data, stop)
    assert answer.error is None, answer
    after(stop.site, "train")
    answer, _ = taking.take("evaluate", setting, stop.site, found[stop.site][1], data, "test")
    assert answer.error is None, answer
    after(stop.site, "evaluate")
print(json.dumps(told))
"""


def test_on_a_sites_turn_no_file_of_another_is_opened_and_then_nothing_is_kept(tmp_path):
    root = make_toy(tmp_path / "d", seed=0, patients={"WEST": 3, "EAST": 3}, slices=4, size=64)
    plan = study(
        data={"root": str(root), "size": 32, "split": {"validation": 0.0, "test": 0.34}},
        model={"encoder": "resnet18_quarter"},
        recipe={"rounds": 1, "steps": 1, "batch": 2},
    )

    done = subprocess.run(
        [sys.executable, "-c", TURNS, plan.model_dump_json(), str(tmp_path / "home")],
        capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told) == 6
    kept = set()
    for turn, (opened, mapped, alive) in told.items():
        site = turn.split()[0]
        other = {"EAST": "WEST", "WEST": "EAST"}[site]
        assert opened and not any(other in name for name in opened if name.endswith(".tif")), turn
        exams = {name.split("/")[-2] for name in opened if name.endswith(".npy")}
        exams = {exam for exam in exams if not exam.startswith(".")}  # one that is being written
        assert exams.isdisjoint({exam for owner, exam in kept if owner == other}), turn
        kept |= {(site, exam) for exam in exams}
        assert not mapped and not any(alive), turn
    assert len({owner for owner, _ in kept}) == 2


def test_what_starts_ahead_of_a_run_imports_no_torch():
    asked = "import sys, roundelay.couriers.ray.ahead; print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"

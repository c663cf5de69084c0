"""One suite for every courier: it hands over, states what comes back, and gives equal bytes."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from roundelay.couriers import open_courier
from roundelay.errors import CourierError, DataError
from roundelay.learning.machine import Machine
from roundelay.phantom.cohort import make_toy
from roundelay.plan.arms import lay
from roundelay.relay.aggregation import aggregate
from roundelay.running.starting import start_baton
from surveys import study

pytestmark = [
    pytest.mark.slow,
    # Ray's own start-up leaves files and sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
FLOAT32 = Machine("cpu", False, False)
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra 'cluster' is not installed"
)
KINDS = [
    "here",
    pytest.param("cluster", marks=needs_ray),
]


@pytest.fixture(scope="module")
def root(module_path):
    return make_toy(
        module_path / "data", seed=0, patients={"NORTH": 3, "EAST": 2}, slices=4, size=64
    )


def toy(root, kind="here", steps=2):
    return study(
        top={"arms": ("cwt", "pooled")},
        data={"root": str(root), "size": 32, "split": {"validation": 0.0, "test": 0.34}},
        model={"encoder": "resnet18"},
        recipe={
            "rounds": 1, "steps": steps, "work": "equal", "batch": 2, "deterministic": True,
            "recalibrate_batchnorm": True, "recalibration_slices": 4,
        },
        courier={"kind": kind},
    )  # fmt: skip


@pytest.fixture
def opened(root, tmp_path):
    couriers = []
    before = torch.get_num_threads()
    torch.set_num_threads(1)

    def open_one(kind, plan=None, on_step=lambda _: None):
        plan = plan or toy(root, kind)
        couriers.append(open_courier(plan, home=tmp_path, machine=FLOAT32, on_step=on_step))
        return couriers[-1]

    yield open_one
    for courier in couriers:
        courier.close()
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def expected(root, module_path):
    """What the courier in this process gives: the bytes that every other one must give."""
    torch.set_num_threads(1)
    plan = toy(root)
    courier = open_courier(plan, home=module_path, machine=FLOAT32, on_step=lambda _: None)
    return go(plan, courier)


def go(plan, courier):
    surveys = courier.survey()
    digests = []
    for arm in lay(plan, surveys):
        baton = start_baton(plan, 0)
        for leg in arm.legs:
            visits = courier.train(baton, leg.stops)
            assert [v.receipt.received for v in visits] == [baton.digest] * len(visits)
            assert [v.receipt.returned for v in visits] == [v.baton.digest for v in visits]
            assert [v.receipt.site for v in visits] == [s.site for s in leg.stops]
            baton = aggregate(leg, baton, [v.baton for v in visits])
            digests.append(baton.digest)
    return surveys, digests, courier.evaluate(baton, tuple(surveys), "test")


@pytest.mark.parametrize("kind", KINDS)
def test_a_courier_surveys_trains_and_evaluates_to_the_same_bytes(kind, root, opened, expected):
    steps = []
    courier = opened(kind, on_step=steps.append)

    surveys, digests, scores = go(toy(root, kind), courier)

    assert list(surveys) == ["EAST", "NORTH"]
    assert surveys["NORTH"].patients == {"train": 2, "validation": 0, "test": 1}
    assert (surveys, digests, scores) == expected
    assert len(set(digests)) == len(digests)
    assert {step.stop.site for step in steps} >= {"EAST", "NORTH", "pooled"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_a_site_comes_back_as_itself(kind, tmp_path, opened):
    damaged = make_toy(tmp_path / "d", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=4, size=64)
    path = sorted(damaged.glob("*EAST*/*_2.tif"))[0]
    path.write_bytes(path.read_bytes()[:150])

    with pytest.raises(DataError, match=path.name) as caught:
        opened(kind, toy(damaged, kind)).survey()

    assert caught.value.exit_code == 2


@needs_ray
def test_a_killed_process_is_a_lost_visit_and_is_tried_again(root, opened):
    plan = toy(root, "cluster", steps=20)
    here = opened("here", toy(root, steps=20))
    courier = opened("cluster", plan)
    leg = lay(plan, courier.survey())[0].legs[0]
    start = start_baton(plan, 0)
    process = courier.processes()[leg.stops[0].site]
    threading.Timer(1.0, os.kill, (process, signal.SIGKILL)).start()

    (visit,) = courier.train(start, leg.stops)

    assert courier.processes()[leg.stops[0].site] != process
    here.survey()
    assert visit.baton.digest == here.train(start, leg.stops)[0].baton.digest


@needs_ray
def test_the_stops_of_a_leg_are_at_work_at_the_same_time(root, opened):
    plan = toy(root, "cluster", steps=40)
    plan = plan.model_copy(update={"arms": ("fedavg",)})
    courier = opened("cluster", plan)
    leg = lay(plan, courier.survey())[0].legs[0]
    start = start_baton(plan, 0)

    begin = time.perf_counter()
    visits = courier.train(start, leg.stops)
    passed = time.perf_counter() - begin

    assert len(visits) == 2
    # One after the other, the visits' own seconds would add up; on one processor too, where two at
    # once each take twice as long.
    assert passed < 0.75 * sum(visit.receipt.seconds for visit in visits)


@needs_ray
def test_a_process_that_ends_each_time_is_an_error_and_no_hang(root, opened):
    plan = toy(root, "cluster", steps=2000)
    courier = opened("cluster", plan)
    leg = lay(plan, courier.survey())[0].legs[0]
    done = threading.Event()

    def killer():
        while not done.is_set():
            for process in list(courier._actors.values()):
                try:
                    os.kill(courier._ray.get(process.process.remote(), timeout=0.5), signal.SIGKILL)
                except Exception:  # the process trains or is gone: find it by its name instead
                    subprocess.run(["pkill", "-9", "-f", "ray::SiteProcess.train"], check=False)
            time.sleep(0.5)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        with pytest.raises(CourierError, match="--resume") as caught:
            courier.train(start_baton(plan, 0), leg.stops)
    finally:
        done.set()
        thread.join()
    assert caught.value.exit_code == 3


def test_a_sites_process_opens_no_file_of_another_sites_patients(root, tmp_path):
    code = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from pathlib import Path
from roundelay.site.cohort import open_sites
from roundelay.learning.machine import Machine
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.slice_cache import SliceCache
from roundelay.site.opening import open_local_site, survey
from roundelay.study.study import Study
study = Study.model_validate({{"name": "a", "data": {{"root": {str(root)!r}}}}})
cache = SliceCache(Preprocessing("zscore", "none", 64))
machine, home = Machine("cpu", False, False), Path({str(tmp_path)!r})
sites = open_sites(study.data)
local_site = open_local_site("NORTH", study, sites, cache=cache, machine=machine, home=home)
survey(local_site)
images = [name for name in opened if name.endswith(".tif")]
assert any("NORTH" in name for name in images)
assert not any("EAST" in name for name in images), images
"""
    subprocess.run([sys.executable, "-c", code], check=True)

"""One suite for every courier: it hands over, states what comes back, and gives equal bytes."""

import contextlib
import importlib.util
import os
import signal
import time

import psutil
import pytest
import torch

from roundelay.couriers import open_courier
from roundelay.errors import CourierError, DataError
from roundelay.evaluation.thresholds import CANDIDATES
from roundelay.learning.machine import Machine
from roundelay.phantom.cohort import make_toy
from roundelay.plan.arms import lay
from roundelay.relay.aggregation import aggregate
from roundelay.relay.courier import Scoring
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
        model={"encoder": "resnet18_quarter"},
        recipe={
            "rounds": 1, "steps": steps, "work": "equal", "batch": 2, "deterministic": True,
            "recalibrate_batchnorm": True, "recalibration_slices": 4, "remember": "si",
        },
        courier={"kind": kind},
    )  # fmt: skip


@pytest.fixture(scope="module")
def ray_runs():
    """Ray, started once: couriers opened after it find it running."""
    from roundelay.couriers.ray.start import import_ray, start

    ray = import_ray(None)
    start(ray, None)
    yield
    ray.shutdown()


@pytest.fixture
def opened(root, tmp_path, request):
    couriers = []
    before = torch.get_num_threads()
    torch.set_num_threads(1)

    def open_one(kind, plan=None, on_step=lambda _: None):
        plan = plan or toy(root, kind)
        if kind == "cluster":
            request.getfixturevalue("ray_runs")
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
    return surveys, digests, courier.evaluate(baton, tuple(surveys), Scoring("cwt-0", 0, "test"))


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
def test_dices_at_thresholds_are_those_that_patients_score_at_them(kind, root, opened):
    plan = toy(root, kind)
    split = plan.data.split.model_copy(update={"validation": 0.34})
    plan = plan.model_copy(update={"data": plan.data.model_copy(update={"split": split})})
    courier, start = opened(kind, plan), start_baton(plan, 0)
    sites = tuple(courier.survey())

    found = courier.threshold_dices(start, sites)

    for number, candidate in enumerate(CANDIDATES):
        scoring = Scoring("cwt-0", 0, "validation", (candidate,))
        scores = courier.evaluate(start, sites, scoring)
        wanted = [(s.site, s.patient, s.dice) for s in scores]
        assert [(one.site, one.patient, one.dice["tumour"][number]) for one in found] == wanted
    assert found and len({d for one in found for d in one.dice["tumour"]}) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_a_site_comes_back_as_itself(kind, tmp_path, opened):
    damaged = make_toy(tmp_path / "d", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=4, size=64)
    path = sorted(damaged.glob("*EAST*/*_2.tif"))[0]
    path.write_bytes(path.read_bytes()[:150])

    with pytest.raises(DataError, match=path.name) as caught:
        opened(kind, toy(damaged, kind)).survey()

    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_at_two_sites_is_found(kind, tmp_path, opened):
    copied = make_toy(tmp_path / "d", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=4, size=64)
    east = sorted(copied.glob("*EAST*/*_2.tif"))[0]
    north = sorted(copied.glob("*NORTH*/*_3.tif"))[-1]
    north.write_bytes(east.read_bytes())

    with pytest.raises(DataError, match="same picture stands under two patients") as caught:
        opened(kind, toy(copied, kind)).survey()

    assert east.parent.name in str(caught.value) and north.parent.name in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_left_out_or_noticed_is_recorded(kind, tmp_path, opened):
    root = make_toy(tmp_path / "d", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=4, size=64)
    (root / "A_WEST_1").mkdir()
    first = sorted(root.glob("*EAST*/*_2.tif"))[0]
    first.with_name(first.name.replace("_2.tif", "_3.tif")).write_bytes(first.read_bytes())
    courier = opened(kind, toy(root, kind))

    courier.survey()
    courier.survey()

    found = courier.facts()["left_out"]
    assert [(one["count"], "A_WEST_1" in one["example"]) for one in found] == [
        (1, True),
        (1, False),
    ]


@needs_ray
def test_a_killed_process_is_a_lost_visit_and_is_tried_again(root, opened):
    plan = toy(root, "cluster", steps=80)
    here = opened("here", toy(root, steps=80))
    killed = []

    def kill_once(step):
        if not killed:
            killed.append(courier.processes()[step.stop.site])
            os.kill(killed[0], signal.SIGKILL)

    courier = opened("cluster", plan, kill_once)
    leg = lay(plan, courier.survey())[0].legs[0]
    start = start_baton(plan, 0)

    (visit,) = courier.train(start, leg.stops)

    assert killed and courier.processes()[leg.stops[0].site] != killed[0]
    here.survey()
    assert visit.baton.digest == here.train(start, leg.stops)[0].baton.digest


@needs_ray
def test_the_stops_of_a_leg_are_at_work_at_the_same_time(root, opened):
    """While the first site's visit goes on, the second one computes: its processor time grows."""
    plan = toy(root, "cluster", steps=80).model_copy(update={"arms": ("fedavg",)})
    grew = []

    def watch_the_other(step):
        if not grew:
            (other,) = {stop.site for stop in leg.stops} - {step.stop.site}
            process = psutil.Process(courier.processes()[other])
            before = process.cpu_times().user
            # An idle process of Ray takes a hundredth of a processor or less.
            grew.append(happens(lambda: process.cpu_times().user > before + 0.5, 20))

    courier = opened("cluster", plan, watch_the_other)
    leg = lay(plan, courier.survey())[0].legs[0]

    visits = courier.train(start_baton(plan, 0), leg.stops)

    assert [visit.receipt.site for visit in visits] == [stop.site for stop in leg.stops]
    assert len(leg.stops) == 2 and grew == [True]


def happens(what, seconds):
    """Whether something becomes true before that long has passed."""
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


@needs_ray
def test_a_process_that_ends_each_time_is_an_error_and_no_hang(root, opened):
    plan = toy(root, "cluster", steps=800)
    killed = []

    def kill(step):
        killed.append(courier.processes()[step.stop.site])
        with contextlib.suppress(ProcessLookupError):  # several steps of one process are told
            os.kill(killed[-1], signal.SIGKILL)

    courier = opened("cluster", plan, kill)
    leg = lay(plan, courier.survey())[0].legs[0]

    with pytest.raises(CourierError, match="--resume") as caught:
        courier.train(start_baton(plan, 0), leg.stops)

    assert caught.value.exit_code == 3
    assert len(set(killed)) == 3

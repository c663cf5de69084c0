"""Several Ray nodes on one machine: sites near their data, and a node that is lost."""

import importlib.util

import psutil
import pytest
import torch

from roundelay.couriers import open_courier
from roundelay.couriers.ray import pool
from roundelay.errors import CourierError, DataError
from roundelay.learning.machine import Machine
from roundelay.phantom.cohort import make_toy
from roundelay.plan.arms import lay
from roundelay.relay.aggregation import aggregate
from roundelay.running.starting import start_baton
from surveys import study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="the extra 'cluster' is not installed"
    ),
    # Ray's own start-up leaves files and sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
FLOAT32 = Machine("cpu", False, False)


@pytest.fixture(scope="module")
def cluster():
    """A head that takes no turns, and a node beside the data of each of two hospitals."""
    from roundelay.couriers.ray.start import import_ray

    ray = import_ray(None)
    from ray.cluster_utils import Cluster

    soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": soon})
    nodes = {
        name: started.add_node(num_cpus=1, resources={name: 1}) for name in ("node-e", "node-n")
    }
    started.wait_for_nodes()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    ray.init(address=started.address, log_to_driver=False, logging_level="ERROR")
    yield started, nodes
    ray.shutdown()
    started.shutdown()
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def root(module_path):
    return make_toy(
        module_path / "data", seed=0, patients={"NORTH": 3, "EAST": 2}, slices=4, size=64
    )


def toy(root, arm="cwt", steps=2, **courier):
    kind = {"kind": "cluster", "address": "auto", **courier} if courier else {}
    return study(
        top={"arms": (arm,)},
        data={"root": str(root), "size": 32, "split": {"validation": 0.0, "test": 0.34}},
        model={"encoder": "resnet18_quarter"},
        recipe={
            "rounds": 2, "steps": steps, "work": "equal", "batch": 2, "deterministic": True,
            "optimiser_state": "stay",
        },
        courier=kind,
    )  # fmt: skip


def digests(plan, home, each=lambda courier, leg: None, on_step=None):
    """The digests of all hand-overs; `each` is told after each leg."""
    courier = open_courier(plan, home=home, machine=FLOAT32, on_step=on_step or (lambda _: None))
    told.append(courier)
    try:
        baton, found = start_baton(plan, 0), []
        for leg in lay(plan, courier.survey())[0].legs:
            visits = courier.train(baton, leg.stops)
            baton = aggregate(leg, baton, [visit.baton for visit in visits])
            found.append(baton.digest)
            each(courier, leg)
        return found
    finally:
        courier.close()


told = []


def node_of(process):
    """The name of the node's resource on which a process runs: its raylet was told of it."""
    line = " ".join(psutil.Process(process).parent().cmdline())
    return next((name for name in ("node-e", "node-n") if name in line), "head")


def test_pinned_sites_train_on_their_own_nodes_side_by_side_to_the_same_bytes(
    cluster, root, tmp_path
):
    pins, seen = {"EAST": "node-e", "NORTH": "node-n"}, {}

    def look(courier, leg):
        for site, process in courier.processes().items():
            seen.setdefault(site, set()).add((node_of(process), process))

    plan = toy(root, "fedavg", resources=pins)
    found = digests(plan, tmp_path / "ray", look)

    assert found == digests(toy(root, "fedavg"), tmp_path / "here")
    assert {site: {name for name, _ in at} for site, at in seen.items()} == {
        "EAST": {"node-e"}, "NORTH": {"node-n"},
    }  # fmt: skip
    assert all(len(at) == 1 for at in seen.values())  # a process of its own, for good


@pytest.mark.parametrize(
    ("pins", "error", "said"),
    [
        ({"EASt": "node-e"}, DataError, "pins the site EASt, .* Did you mean EAST"),
        ({"EAST": "node-x"}, CourierError, "'node-x'.* They offer node-e, node-n"),
    ],
)
def test_a_site_or_a_node_that_isnt_there_is_refused(cluster, root, tmp_path, pins, error, said):
    with pytest.raises(error, match=said):
        open_courier(
            toy(root, resources=pins), home=tmp_path, machine=FLOAT32, on_step=lambda _: None
        )


def test_a_node_that_is_lost_is_a_lost_visit_and_the_bytes_are_the_same(
    cluster, root, tmp_path, monkeypatch
):
    """Last: it takes a node away. What the lost node returned before is read by the other one, and
    so is the optimiser's memory that stays at each site."""
    monkeypatch.setattr(pool, "POLL_SECONDS", 0.05)
    started, nodes = cluster
    lost, visited = [], []

    def lose_it(step):
        if step.stop.index == 1 and not lost:
            at = node_of(told[-1].processes()[step.stop.site])
            lost.append(at)
            started.remove_node(nodes[at], allow_graceful=False)

    plan = toy(root, steps=20, kind="cluster")
    found = digests(
        plan, tmp_path / "ray",
        lambda courier, leg: visited.append(node_of(courier.processes()[leg.stops[0].site])),
        lose_it,
    )  # fmt: skip

    assert lost and lost[0] in nodes
    assert visited[0] == lost[0] and lost[0] not in visited[1:]
    assert found == digests(toy(root, steps=20), tmp_path / "here")

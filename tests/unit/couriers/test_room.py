"""How many turns are taken at once, and what a worker reserves for them."""

import pytest

from roundelay.couriers.ray.room import (
    Lane,
    gpu_share,
    lane_of_all,
    lane_of_pin,
    refuse_strange_pins,
    refuse_unoffered,
)
from roundelay.errors import CourierError, DataError

TWO_CORES = [{"CPU": 2.0, "memory": 1e9}]


@pytest.mark.parametrize(
    ("nodes", "threads", "abreast", "cpus"),
    [
        (TWO_CORES, 2, 1, 2),
        (TWO_CORES, 1, 2, 1),
        ([{"CPU": 7.0}, {"CPU": 4.0}], 2, 5, 2),
        (TWO_CORES, 8, 1, 2),  # it takes what there is
        ([{"memory": 1e9}], 2, 1, 0),
    ],
)
def test_there_are_as_many_workers_as_their_threads_have_cores(nodes, threads, abreast, cpus):
    assert lane_of_all(nodes, {}, widest=9, threads=threads, gpus=True) == Lane(abreast, cpus, 0)


def test_there_is_a_worker_for_each_gpu_and_it_has_all_of_it():
    nodes = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}]

    assert lane_of_all(nodes, {}, widest=9, threads=8, gpus=True) == Lane(3, 0, 1.0)
    assert lane_of_all(nodes, {}, widest=9, threads=8, gpus=False) == Lane(2, 8, 0)


@pytest.mark.parametrize("nodes", [[{"CPU": 64.0}], [{"CPU": 8.0, "GPU": 8.0}]])
def test_there_are_no_more_workers_than_the_widest_leg_has_stops(nodes):
    assert lane_of_all(nodes, {}, widest=1, threads=1, gpus=True).abreast == 1
    assert lane_of_all(nodes, {}, widest=5, threads=1, gpus=True).abreast == 5


def test_pinned_sites_share_the_gpus_of_their_node_and_leave_room_for_another_worker():
    nodes = [{"CPU": 8.0, "GPU": 1.0, "here": 1.0}, {"CPU": 8.0, "GPU": 1.0}]
    pins = {"EAST": "here", "WEST": "here"}

    assert lane_of_pin(nodes, pins, "here", threads=8, gpus=True) == Lane(
        1, 0, 0.3333, {"here": 0.0001}
    )
    assert lane_of_all(nodes, pins, widest=9, threads=8, gpus=True) == Lane(2, 0, 0.3333)


def test_sites_pinned_to_one_node_wait_for_one_another_where_it_has_too_few_cores():
    nodes = [{"CPU": 4.0, "here": 1.0}, {"CPU": 64.0}]

    assert lane_of_pin(nodes, {"EAST": "here"}, "here", threads=2, gpus=False).abreast == 2
    assert lane_of_pin(nodes, {"EAST": "here"}, "here", threads=8, gpus=False).abreast == 1


@pytest.mark.parametrize(
    ("gpus", "processes", "share"), [(0, 5, 0), (1, 6, 0.1666), (2, 6, 0.3333), (8, 6, 1.0)]
)
def test_processes_share_gpus_so_that_all_fit(gpus, processes, share):
    assert gpu_share(gpus, processes) == share
    assert gpus == 0 or share * -(-processes // gpus) <= 1


def test_a_pinned_site_that_isnt_there_is_refused_with_the_nearest_one():
    with pytest.raises(DataError, match=r"pins the site EASt, .*Did you mean EAST"):
        refuse_strange_pins({"EASt": "here"}, ["EAST", "WEST"])
    refuse_strange_pins({"EAST": "here"}, ["EAST", "WEST"])


def test_a_resource_that_no_node_offers_is_refused_with_those_that_are():
    nodes = [{"CPU": 2.0, "node-west": 1.0, "node:10.0.0.1": 1.0, "memory": 1e9}]

    with pytest.raises(CourierError, match=r"EAST is pinned .*'node-east'.* offer node-west"):
        refuse_unoffered({"EAST": "node-east"}, nodes)
    refuse_unoffered({"EAST": "node-west", "WEST": "node:10.0.0.1"}, nodes)

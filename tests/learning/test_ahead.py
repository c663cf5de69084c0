"""Batches that are made ahead: the same ones in the same order, and every fault of making one."""

import threading

import pytest
import torch

from roundelay.errors import DataError
from roundelay.learning.ahead import AHEAD, ahead
from roundelay.learning.machine import Machine

CPU, GPU = Machine("cpu", False, False), Machine("cuda", False, False)


def batches(count, made=None, breaks=None):
    for number in range(count):
        if number == breaks:
            raise DataError("the disk is gone")
        if made is not None:
            made.append((number, threading.get_ident()))
        yield torch.full((1,), number), torch.zeros(1)


@pytest.mark.parametrize("machine", [CPU, GPU])
@pytest.mark.parametrize("count", [0, 1, AHEAD, 9])
def test_they_are_the_same_in_the_same_order(machine, count):
    assert [int(one[0]) for one in ahead(batches(count), machine)] == list(range(count))


def test_on_a_gpu_a_thread_makes_them_and_on_a_processor_none():
    own = threading.get_ident()
    for machine, here in ((CPU, True), (GPU, False)):
        made = []
        list(ahead(batches(4, made), machine))
        assert all((thread == own) is here for _, thread in made)


def test_what_breaks_is_raised_where_its_batch_is_taken():
    taken = []

    with pytest.raises(DataError, match="the disk is gone"):
        for one in ahead(batches(9, breaks=5), GPU):
            taken.append(int(one[0]))

    assert taken == [0, 1, 2, 3, 4]


def test_who_stops_early_leaves_no_thread_and_no_more_than_those_that_waited():
    made, before = [], threading.active_count()
    given = ahead(batches(99, made), GPU)

    next(given)
    given.close()

    assert len(made) <= 1 + AHEAD and threading.active_count() == before

"""The order of the sites, round by round: against hand-written ones and by properties."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundelay.plan.orders import order_sites

SITES = ("A", "B", "C")
ORDERS = ("given", "reversed", "there-and-back", "size", "shuffled")
names = st.lists(st.text("ABCDEFGH", min_size=1, max_size=3), min_size=1, max_size=6, unique=True)


def ordered(order, rounds=2, sites=SITES, seed=0, sizes=None):
    sizes = sizes or {site: len(sites) - i for i, site in enumerate(sites)}
    return order_sites(order, sites, rounds=rounds, sizes=sizes, seed=seed)


def test_orders_are_those_one_writes_by_hand():
    assert ordered("given") == (("A", "B", "C"), ("A", "B", "C"))
    assert ordered("reversed") == (("C", "B", "A"), ("C", "B", "A"))
    assert ordered("there-and-back", rounds=3) == (
        ("A", "B", "C"),
        ("C", "B", "A"),
        ("A", "B", "C"),
    )


def test_by_size_the_largest_comes_last_and_equals_stand_by_their_names():
    assert ordered("size") == (("C", "B", "A"), ("C", "B", "A"))
    sizes = {"A": 7, "B": 2, "C": 7}
    assert ordered("size", 1, ("C", "B", "A"), sizes=sizes) == (("B", "A", "C"),)


@given(st.sampled_from(ORDERS), names, st.integers(1, 6), st.integers(0, 9))
def test_every_round_of_every_order_meets_each_site_once(order, sites, rounds, seed):
    found = ordered(order, rounds, sites, seed)

    assert [sorted(turn) for turn in found] == [sorted(sites)] * rounds


@given(names.filter(lambda sites: len(sites) > 1), st.integers(1, 8), st.integers(0, 99))
def test_a_shuffled_order_meets_no_site_twice_in_a_row(sites, rounds, seed):
    stops = [site for turn in ordered("shuffled", rounds, sites, seed) for site in turn]

    assert all(a != b for a, b in pairwise(stops))


def test_a_shuffled_order_is_of_its_seed_and_fresh_each_round():
    assert ordered("shuffled", 5) == ordered("shuffled", 5)
    assert ordered("shuffled", 5) != ordered("shuffled", 5, seed=1)
    assert len(set(ordered("shuffled", 9))) > 1


@pytest.mark.parametrize("order", ORDERS)
def test_more_rounds_leave_the_first_ones_as_they_were(order):
    assert ordered(order, 7)[:3] == ordered(order, 3)

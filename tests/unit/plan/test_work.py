"""How work is shared out: whole, complete, and nobody left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundelay.plan.work import VisitWork, share, site_slices, times, visit_work
from surveys import study, surveys


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.integers(0, 1000))
def test_a_share_is_whole_complete_and_leaves_nobody_out(weights, extra):
    total = len(weights) + extra

    parts = share(total, weights)

    assert sum(parts) == total
    assert min(parts) >= 1
    exact = [total * weight / sum(weights) for weight in weights]
    if min(exact) >= 1:
        assert all(abs(part - e) < 1 for part, e in zip(parts, exact, strict=True))


def test_a_share_of_too_little_is_refused():
    with pytest.raises(ValueError, match="2 can't be shared among 3"):
        share(2, [1, 1, 1])


SLICES = {"NORTH": 30, "EAST": 12, "SOUTH": 8}


@pytest.mark.parametrize(
    ("recipe", "visits"),
    [
        ({"epochs": 2}, (60, 24, 16)),
        ({"epochs": 2, "work": "equal"}, (34, 33, 33)),
        ({"steps": 5, "batch": 2, "work": "equal"}, (10, 10, 10)),
        ({"steps": 5, "batch": 2}, (18, 8, 4)),  # 15 steps by 30 : 12 : 8 are 9, 4 and 2
    ],
)
def test_a_visits_work_is_the_one_counted_by_hand(recipe, visits):
    plan = study(recipe={"batch": 4, **recipe})

    works = [visit_work(plan.recipe, site, SLICES) for site in SLICES]

    assert tuple(work.slice_visits for work in works) == visits
    assert [work.size for work in works] == [30, 12, 8]
    assert [work.steps for work in works] == [-(-v // plan.recipe.batch) for v in visits]


def test_all_training_slices_are_drawn_from_or_a_share_of_them():
    assert site_slices(study(recipe={"batch": 2}), surveys()) == SLICES
    shared = study(recipe={"batch": 2}, data={"train_slices": 25})
    assert site_slices(shared, surveys()) == {"NORTH": 15, "EAST": 6, "SOUTH": 4}


def test_the_work_of_several_rounds_in_one_is_so_many_times_one():
    assert times(VisitWork((("A", 5),), 12, 3), 4) == VisitWork((("A", 5),), 48, 12)

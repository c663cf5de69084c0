"""The itineraries of all arms: each stop's place in the schedule, and equal budgets."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundelay.errors import StudyError
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import as_json, digest
from surveys import study, surveys


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["given", "shuffled", "reversed", "there-and-back", "size"]),
    st.sampled_from(["equal", "proportional"]),
)
def test_every_stop_knows_its_place_and_every_model_sees_as_many_slices(
    rounds, epochs, order, work
):
    plan = study(
        top={"arms": ("cwt", "swt", "pooled", "local")},
        recipe={"rounds": rounds, "epochs": epochs, "order": order, "work": work},
    )

    arms = lay(plan, surveys())

    assert {arm.slice_visits for arm in arms} == {rounds * epochs * 50}
    assert [arm.label for arm in arms] == [
        "cwt-0", "swt-0", "pooled-0", "local-0-NORTH", "local-0-EAST", "local-0-SOUTH",
    ]  # fmt: skip
    for arm in arms:
        stops = [stop for leg in arm.legs for stop in leg.stops]
        assert [stop.index for stop in stops] == list(range(len(stops)))
        assert stops[0].first_step == 0
        for before, after in pairwise(stops):
            assert after.first_step == before.first_step + before.steps
        assert stops[-1].first_step + stops[-1].steps == stops[0].total_steps


@given(st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_sites_side_by_side_walk_through_the_whole_schedule_at_their_own_pace(
    rounds, epochs, recalibrate_batchnorm
):
    plan = study(
        top={"arms": ("cwt", "fedavg", "fedprox")},
        recipe={"rounds": rounds, "epochs": epochs, "recalibrate_batchnorm": recalibrate_batchnorm},
    )

    cwt, *parallel = lay(plan, surveys())

    for arm in parallel:
        assert arm.slice_visits == cwt.slice_visits
        assert len(arm.legs) == rounds + recalibrate_batchnorm
        stops = [stop for leg in arm.legs for stop in leg.stops]
        assert [stop.index for stop in stops] == list(range(len(stops)))
        for site in ("NORTH", "EAST", "SOUTH"):
            own = [stop for stop in stops if stop.site == site and stop.task == "train"]
            assert [stop.first_step for stop in own] == [i * own[0].steps for i in range(rounds)]
            assert {stop.total_steps for stop in own} == {rounds * own[0].steps}
            assert own[0].previous_here is None
            assert all(b.previous_here == a.index for a, b in pairwise(own))


def test_several_orders_are_arms_of_one_study():
    plan = study(
        top={"arms": ("cwt", "fedavg")},
        recipe={"rounds": 1, "epochs": 1, "compare_orders": ("reversed",)},
    )

    given_, reversed_, fedavg = lay(plan, surveys())

    assert [arm.label for arm in (given_, reversed_, fedavg)] == [
        "cwt-0-given", "cwt-0-reversed", "fedavg-0",
    ]  # fmt: skip
    sites = [[leg.stops[0].site for leg in arm.legs] for arm in (given_, reversed_)]
    assert sites[0] == sites[1][::-1]
    assert given_.legs[0].stops[0].arm != reversed_.legs[0].stops[0].arm


def test_a_site_that_is_left_out_trains_nowhere():
    plan = study(
        top={"arms": ("cwt", "fedavg", "pooled", "local")},
        recipe={"rounds": 1, "epochs": 1},
        evaluation={"leave_out": "EAST"},
    )

    arms = lay(plan, surveys())

    assert [arm.site for arm in arms if arm.site] == ["NORTH", "SOUTH"]
    for arm in arms:
        for leg in arm.legs:
            for stop in leg.stops:
                assert "EAST" not in {stop.site, *dict(stop.slices)}


def test_a_site_that_is_left_out_must_be_there():
    with pytest.raises(StudyError, match="leave_out = 'OEST' is no site; the sites are NORTH"):
        lay(study(evaluation={"leave_out": "OEST"}), surveys())


def test_the_digest_of_an_itinerary_is_of_its_every_number():
    legs = lay(study(), surveys())[0].legs
    others = lay(study(recipe={"rounds": 3}), surveys())[0].legs

    assert digest(legs) == digest(lay(study(), surveys())[0].legs)
    assert digest(legs) != digest(others)
    assert as_json(legs)[0]["stops"][0]["site"] == "NORTH"


def test_a_study_without_end_is_refused_before_its_itinerary_fills_the_memory():
    endless = study(top={"seeds": tuple(range(100))}, recipe={"rounds": 10_000, "steps": 1})

    with pytest.raises(StudyError, match="3,000,000 visits; 1,000,000 at most"):
        lay(endless, surveys())

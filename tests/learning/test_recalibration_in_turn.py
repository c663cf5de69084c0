"""Under seal nobody adds sums: sites recalibrate in turn, and come to the bytes of side by side."""

from functools import reduce

import numpy as np
import pytest

from roundelay.errors import RefusedError, VisitError
from roundelay.network.hospital.acceptance import check_incoming
from roundelay.network.hospital.policy import Acceptance
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import IN_TURN
from roundelay.relay.aggregation import added, aggregate
from roundelay.relay.baton import AVERAGE, MODEL, SUMS, join
from roundelay.running.starting import start_baton
from visits import open_here, toy

LAYER = "encoder.bn1"


@pytest.fixture(scope="module")
def opened(root, module_path):
    """The study, its courier, the model to begin with, and both ways to recalibrate it."""
    plan = toy(root, recalibrate_batchnorm=True, recalibration_slices=9)
    courier = open_here(plan, module_path / "home")
    surveys = courier.survey()
    side_by_side, in_turn = (
        [leg for leg in lay(plan, surveys, sealed=sealed)[0].legs if leg.task != "train"]
        for sealed in (False, True)
    )
    return plan, courier, start_baton(plan, 0), side_by_side[0], in_turn


@pytest.fixture(scope="module")
def half_way(opened):
    """What the first site hands to the second one, and last one."""
    _, courier, start, _, in_turn = opened
    return courier.train(start, in_turn[0].stops)[0].baton


def test_the_stops_in_turn_are_those_side_by_side(opened):
    _, _, _, side_by_side, in_turn = opened
    stops = [leg.stops[0] for leg in in_turn]

    assert {stop.task for stop in stops} == {IN_TURN} and all(len(g.stops) == 1 for g in in_turn)
    for own, one in zip(stops, side_by_side.stops, strict=True):
        assert (own.site, own.slices, own.slice_visits) == (one.site, one.slices, one.slice_visits)
        assert (own.index, own.steps, own.round) == (one.index, one.steps, one.round)
    assert [stop.weight_before for stop in stops] == [0, stops[0].slice_visits]
    assert [stop.ends_schedule for stop in stops] == [False, True]


@pytest.mark.parametrize("average", [False, True])
def test_in_turn_the_model_is_the_one_of_side_by_side_to_the_bit(opened, threads, average):
    _, courier, start, side_by_side, in_turn = opened
    if average:
        own = start.part(MODEL)
        moved = {n: a * np.float32(1.5) if a.ndim == 4 else a for n, a in own.items()}
        start = join(model=own, average=moved)
    given = [visit.baton for visit in courier.train(start, side_by_side.stops)]
    expected = aggregate(side_by_side, start, given)

    first = courier.train(start, in_turn[0].stops)[0].baton
    last = courier.train(first, in_turn[1].stops)[0].baton

    assert last.data == expected.data
    assert not last.part(SUMS) and not first.part(AVERAGE)
    # The second site sees the first one's sums, as the threat model says.
    predicts = start.part(AVERAGE) or start.part(MODEL)
    assert first.data == join(model=predicts, sums=given[0].part(SUMS)).data


def test_three_sums_are_added_from_the_left_whoever_adds_them():
    """0.1 + 0.2 + 0.3 is another number than 0.3 + 0.2 + 0.1."""
    sums = [{"bn.sum": np.array([x, -x])} for x in (0.1, 0.2, 0.3)]

    together = reduce(added, sums)["bn.sum"]
    travelling = added(added(sums[0], sums[1]), sums[2])["bn.sum"]

    assert together.tobytes() == travelling.tobytes()
    assert together[0] == 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1


def of_layer(what, change):
    return lambda sums: {**sums, f"{LAYER}.{what}": change(sums[f"{LAYER}.{what}"])}


def without(ending):
    return lambda sums: {n: a for n, a in sums.items() if not n.startswith(f"{LAYER}{ending}")}


TAMPERED = {
    "another shape": (of_layer("sum", lambda a: a[:-1]), "another shape or type"),
    "another type": (of_layer("sum", lambda a: a.astype(np.float32)), "another shape or type"),
    "not a number": (of_layer("sum", lambda a: a * np.nan), "aren't finite"),
    "infinite": (of_layer("sum_of_squares", lambda a: a + np.inf), "aren't finite"),
    "as good as infinite": (of_layer("sum", lambda a: a + 1e31), "aren't finite, or as good as"),
    "counts of none": (of_layer("count", lambda a: a * 0), "counts nothing"),
    "negative squares": (of_layer("sum_of_squares", lambda a: -a), "squares are too small"),
    "squares too small": (of_layer("sum_of_squares", lambda a: a * 0), "squares are too small"),
    "half a layer": (without(".sum_of_squares"), "does not hold the sums"),
    "no sums": (lambda sums: {}, "does not hold the sums"),
}
"""What the next site refuses, before and after it opened the network: by what is done to sums."""

OUT_OF_PLAN = {
    "fewer than planned": (of_layer("count", lambda a: a - 1), "is not that of the 3 slices"),
    "more than planned": (of_layer("count", lambda a: a * 2), "is not that of the 3 slices"),
    "a layer less": (without("."), "they are of other layers"),
}
"""What only who has the itinerary, or ran the network, can see."""


@pytest.mark.parametrize(
    ("tamper", "why"), (TAMPERED | OUT_OF_PLAN).values(), ids=TAMPERED | OUT_OF_PLAN
)
def test_a_site_adds_nothing_to_sums_that_can_not_be(opened, half_way, tamper, why):
    _, courier, _, _, in_turn = opened
    assert in_turn[1].stops[0].weight_before == 3
    baton = join(model=half_way.part(MODEL), sums=tamper(half_way.part(SUMS)))

    with pytest.raises(VisitError, match=why):
        courier.train(baton, in_turn[1].stops)


def test_the_first_site_takes_no_sums(opened, half_way):
    _, courier, _, _, in_turn = opened

    with pytest.raises(VisitError, match="none were to come to the first one"):
        courier.train(half_way, in_turn[0].stops)


@pytest.mark.parametrize(("tamper", "why"), TAMPERED.values(), ids=TAMPERED)
def test_a_hospital_puts_a_model_with_such_sums_into_quarantine(
    opened, half_way, tmp_path, tamper, why
):
    baton = join(model=half_way.part(MODEL), sums=tamper(half_way.part(SUMS)))

    with pytest.raises(RefusedError, match=f"put into quarantine: .*{why}"):
        come(opened, baton, tmp_path, sums=True)
    assert len(list(tmp_path.iterdir())) == 1


def test_sums_come_where_they_are_planned_and_nowhere_else(opened, half_way, tmp_path):
    come(opened, half_way, tmp_path, sums=True)
    with pytest.raises(RefusedError, match="more than a model and what may travel with it"):
        come(opened, half_way, tmp_path, sums=False)


def come(opened, baton, quarantine, *, sums):
    plan, before = opened[0], join(model=baton.part(MODEL))
    check_incoming(baton, before, plan, Acceptance(), lambda _: 1.0, quarantine, sums=sums)

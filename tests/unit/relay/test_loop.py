"""The hand-over, on disjoint toy sites whose numbers one computes by hand; no torch."""

from dataclasses import replace

import numpy as np
import pytest

from fakes import START, Footprints, toy_ledger
from roundelay.errors import HandoverError
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import open_legs
from roundelay.relay.aggregation import aggregate
from roundelay.relay.baton import Baton, join
from roundelay.relay.courier import Visit
from roundelay.relay.loop import relay
from surveys import study, surveys


class OwnCopy(Footprints):
    """The published bug: each site goes on from its own copy, never from the last model."""

    def __init__(self):
        super().__init__()
        self.copies = {}

    def begin(self, baton, stop):
        return self.copies.get(stop.site, START)

    def visit(self, begun, stop):
        visit = super().visit(begun, stop)
        self.copies[stop.site] = visit.baton
        return visit


class Liar(OwnCopy):
    """The same bug, and the receipt claims what was sent: it returns other bytes than it states."""

    def train(self, baton, stops):
        return [
            Visit(replace(v.receipt, received=baton.digest, returned="0" * 64), v.baton)
            for v in super().train(baton, stops)
        ]


class Mistaken(Footprints):
    """Answers for another stop."""

    def visit(self, begun, stop):
        return super().visit(begun, replace(stop, index=stop.index + 1))


def arm(**recipe):
    return lay(study(recipe={"rounds": 2, "epochs": 1, **recipe}), surveys())[0]


def test_each_site_starts_from_what_the_one_before_returned(tmp_path):
    itinerary, ledger = arm(), toy_ledger(tmp_path, arm())

    final = relay(START, itinerary, Footprints(), ledger)

    assert final.part("model/")["w"] == 2 * (1 + 10 + 100)
    received = [r.received for r in ledger.receipts]
    returned = [r.returned for r in ledger.receipts]
    assert received == [START.digest, *returned[:-1]]
    assert [ledger.baton_of(i).part("model/")["w"].item() for i in range(6)] == [
        1, 11, 111, 112, 122, 222,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("courier", "says"),
    [
        (OwnCopy, r"EAST \(stop 2, round 1\) did not start from the weights"),
        (Liar, r"NORTH \(stop 1, round 1\) returned other bytes"),
        (Mistaken, r"was answered by NORTH for stop 2"),
    ],
)
def test_a_courier_that_does_not_hand_over_is_caught_at_its_first_stop(courier, says, tmp_path):
    ledger = toy_ledger(tmp_path, arm())

    with pytest.raises(HandoverError, match=says) as caught:
        relay(START, arm(), courier(), ledger)

    assert caught.value.exit_code == 3
    assert ledger.legs_done == (1 if courier is OwnCopy else 0)


@pytest.mark.parametrize("stops_before", range(6))
def test_a_relay_killed_after_any_leg_goes_on_to_the_same_bytes(stops_before, tmp_path):
    itinerary = arm()
    whole = relay(START, itinerary, Footprints(), toy_ledger(tmp_path / "whole", itinerary))

    class Killed(Footprints):
        def train(self, baton, stops):
            if stops[0].index == stops_before:
                raise KeyboardInterrupt
            return super().train(baton, stops)

    with pytest.raises(KeyboardInterrupt):
        relay(START, itinerary, Killed(), toy_ledger(tmp_path / "cut", itinerary))
    assert toy_ledger(tmp_path / "cut", itinerary).legs_done == stops_before

    assert relay(START, itinerary, Footprints(), toy_ledger(tmp_path / "cut", itinerary)) == whole


def test_a_recalibration_merges_the_sums_of_all_sites_by_hand():
    itinerary = arm(recalibrate_batchnorm=True)
    leg = itinerary.legs[-1]
    model = {"bn.running_mean": np.zeros(1, np.float32), "bn.running_var": np.ones(1, np.float32)}
    values = [[1.0, 2.0], [3.0], [6.0]]

    def sums(x):
        x = np.array(x)
        return join(
            sums={
                "bn.count": np.array([float(len(x))]),
                "bn.sum": np.array([x.sum()]),
                "bn.sum_of_squares": np.array([(x**2).sum()]),
            }
        )

    merged = aggregate(leg, join(model=model), [sums(x) for x in values]).part("model/")

    assert leg.task == "recalibrate" and len(leg.stops) == 3
    assert merged["bn.running_mean"] == 3.0  # (1 + 2 + 3 + 6) / 4
    assert merged["bn.running_var"] == pytest.approx(14 / 3)  # (4 + 1 + 0 + 9) / 3


def test_a_baton_travels_as_it_is_when_one_site_trained():
    baton = Baton.of({"model/w": np.ones(2)})

    assert aggregate(arm().legs[0], START, [baton]) is baton


def fedavg(**recipe):
    plan = study(top={"arms": ("fedavg",)}, recipe={"rounds": 2, "epochs": 1, **recipe})
    return lay(plan, surveys())[0]


def test_sites_side_by_side_are_averaged_by_their_slices_by_hand(tmp_path):
    itinerary = fedavg()

    final = relay(START, itinerary, Footprints(), toy_ledger(tmp_path, itinerary))

    # 30, 12 and 8 slices: each round adds (30 * 1 + 12 * 10 + 8 * 100) / 50.
    assert final.part("model/")["w"].item() == pytest.approx(2 * 19.0, rel=1e-12)


def test_an_average_keeps_types_and_takes_the_largest_of_counters():
    leg = fedavg().legs[0]
    returned = [
        Baton.of({"model/w": np.float32([v]), "model/seen": np.int64([n])})
        for v, n in ((1, 4), (2, 9), (4, 1))
    ]

    merged = aggregate(leg, START, returned).arrays()

    assert merged["model/w"].dtype == np.float32 and merged["model/seen"] == [9]
    assert merged["model/w"][0] == np.float32((30 * 1 + 12 * 2 + 8 * 4) / 50)


def test_a_site_that_starts_a_parallel_leg_from_its_own_copy_is_caught(tmp_path):
    itinerary = fedavg()
    ledger = toy_ledger(tmp_path, itinerary)

    with pytest.raises(HandoverError, match=r"NORTH \(stop 4, round 2\) did not start"):
        relay(START, itinerary, OwnCopy(), ledger)

    assert ledger.legs_done == 1


class Late(Footprints):
    """EAST is away at its turns: others of the round come first."""

    def next_leg(self, legs):
        return next((leg for leg in legs if leg.stops[0].site != "EAST"), legs[0])


def test_a_site_may_be_put_off_within_its_round_and_no_further(tmp_path):
    itinerary, ledger = arm(recalibrate_batchnorm=False), toy_ledger(tmp_path, arm())

    final = relay(START, itinerary, Late(), ledger)

    assert final.part("model/")["w"] == 2 * (1 + 10 + 100)
    assert ledger.legs_run == [0, 2, 1, 3, 5, 4]
    assert [r.site for r in ledger.receipts] == ["NORTH", "SOUTH", "EAST"] * 2
    received = [r.received for r in ledger.receipts]
    assert received == [START.digest, *(r.returned for r in ledger.receipts[:-1])]


def test_a_recalibration_is_never_brought_forward():
    itinerary = arm(recalibrate_batchnorm=True)
    trained = [leg.index for leg in itinerary.legs[:-1]]

    assert [leg.index for leg in open_legs(itinerary.legs, trained[:4])] == [4, 5]
    assert open_legs(itinerary.legs, trained) == itinerary.legs[-1:]
    assert open_legs(itinerary.legs, [*trained, itinerary.legs[-1].index]) == ()


def test_whoever_listens_hears_of_each_leg_once_it_stands_in_the_ledger(tmp_path):
    itinerary, ledger, heard = arm(), toy_ledger(tmp_path, arm()), []

    relay(
        START, itinerary, Footprints(), ledger,
        lambda number, leg, _: heard.append((number, leg.index, ledger.legs_done)),
    )  # fmt: skip

    assert heard == [(i, i, i + 1) for i in range(6)]

"""Bytes that pass: the arithmetic of each method, and what receipts come to."""

import pytest

from roundelay.plan.arms import lay
from roundelay.plan.cost import planned_bytes
from roundelay.records.traffic import passed_bytes
from roundelay.relay.receipt import Receipt
from surveys import study, surveys

ARMS = ("swt", "cwt", "fedavg", "fedprox", "pooled", "local")


def planned(**recipe):
    plan = study(top={"arms": ARMS}, recipe={"rounds": 4, "epochs": 1, **recipe})
    return {arm.name: planned_bytes(plan, arm.name, arm.legs, 100) for arm in lay(plan, surveys())}


def test_a_model_a_site_a_round_in_a_relay_and_two_side_by_side():
    assert planned() == {
        "swt": 3 * 100, "cwt": 4 * 3 * 100, "fedavg": 4 * 3 * 2 * 100, "fedprox": 4 * 3 * 2 * 100,
        "pooled": None, "local": 0,
    }  # fmt: skip


def test_a_travelling_optimiser_triples_all_but_the_first_baton():
    found = planned(optimiser_state="travel")

    assert found["swt"] == 100 + 2 * 300
    assert found["fedavg"] == 3 * (100 + 300) + 3 * 3 * (300 + 300)


def test_importance_doubles_what_a_relay_passes_between_its_first_visit_and_its_last():
    found = planned(remember="ewc", recalibrate_batchnorm=True)

    assert found["swt"] == 100 + 2 * 200 + 3 * 100
    assert found["fedavg"] == planned(recalibrate_batchnorm=True)["fedavg"]
    assert planned(remember="ewc", remember_strength=0.0) == planned()


def test_a_calibration_goes_out_to_every_site_once():
    assert planned(recalibrate_batchnorm=True)["cwt"] == (4 * 3 + 3) * 100


def test_a_recalibration_in_turn_passes_as_many_models_and_only_the_first_with_what_trained():
    recipe = {"rounds": 4, "epochs": 1, "recalibrate_batchnorm": True, "optimiser_state": "travel"}
    plan = study(recipe=recipe)
    side_by_side, in_turn = (
        planned_bytes(plan, "cwt", lay(plan, surveys(), sealed=sealed)[0].legs, 100)
        for sealed in (False, True)
    )

    assert side_by_side == 100 + 11 * 300 + 3 * 300
    assert in_turn == 100 + 11 * 300 + 300 + 2 * 100


@pytest.mark.parametrize(
    ("name", "total"), [("cwt", 100 + 7), ("fedavg", 150 + 7), ("pooled", None), ("local", 0)]
)
def test_receipts_are_counted_the_same_way(name, total):
    def receipt(task, sent, returned):
        return Receipt(0, "NORTH", 1, task, "a", "b", 1, 1, 1, 1, None, 1.0, sent, returned, "cpu")

    trained, recalibrated = receipt("train", 100, 50), receipt("recalibrate", 5, 2)

    assert passed_bytes(name, [trained, recalibrated]) == total
    in_turn = receipt("recalibrate_in_turn", 7, 9)
    assert name != "cwt" or passed_bytes(name, [trained, in_turn]) == total

"""Forgetting, backward transfer and the last site's bias, on a matrix done by hand."""

import pytest

from roundelay.evaluation.forgetting import Validation, measure_forgetting


def validation(leg, round_, visited, **dice):
    return Validation(leg, round_, (visited,) if visited else (), dice, dict.fromkeys(dice, 3))


WAY = [
    validation(0, 1, "A", A=0.6, B=0.2),
    validation(1, 1, "B", A=0.4, B=0.7),
    validation(2, 2, "A", A=0.8, B=0.5),
    validation(3, 2, "B", A=0.5, B=0.6),
]


def test_what_is_forgotten_is_the_best_before_less_the_last():
    found = measure_forgetting(WAY)

    assert found.forgotten == pytest.approx({"A": 0.3, "B": 0.1})
    assert found.mean == pytest.approx(0.2)


def test_backward_transfer_leaves_out_the_site_that_was_visited_last():
    assert measure_forgetting(WAY).backward_transfer == pytest.approx(0.5 - 0.8)


def test_the_last_sites_bias_is_the_gain_right_after_a_visit():
    # Round 2: A right after its visit 0.8, on average 0.65; B 0.6, on average 0.55.
    assert measure_forgetting(WAY).last_site_bias == pytest.approx((0.15 + 0.05) / 2)


def test_a_model_that_forgets_nothing_says_so():
    steady = [validation(i, 1, site, A=0.5, B=0.5) for i, site in enumerate("AB")]

    found = measure_forgetting(steady)

    assert (found.mean, found.backward_transfer, found.last_site_bias) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("validations", [[], WAY[:1]])
def test_a_single_hop_tells_nothing(validations):
    found = measure_forgetting(validations)

    assert (found.forgotten, found.mean, found.backward_transfer) == ({}, None, None)


def test_after_a_calibration_no_site_is_the_last_one():
    found = measure_forgetting([*WAY, validation(4, 2, None, A=0.7, B=0.7)])

    assert found.backward_transfer == pytest.approx(((0.7 - 0.8) + (0.7 - 0.6)) / 2)

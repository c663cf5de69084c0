"""Thresholds chosen by validation patients, against counts and means by hand."""

import numpy as np
import pytest

from roundelay.evaluation.thresholds import (
    CANDIDATES,
    PatientDices,
    chosen_thresholds,
    dices_at_candidates,
    mean_dices,
)


def patient(name, *dices, region="tumour"):
    return PatientDices(name, "NORTH", {region: dices})


def test_each_candidate_s_dice_is_that_of_the_pixels_above_it():
    likely = np.array([0.1, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.9], np.float32)
    reference = np.array([0, 0, 0, 1, 1, 1, 1, 1], bool)

    found = dices_at_candidates(
        likely.reshape(1, 1, 1, 8), reference.reshape(1, 1, 1, 8), ("tumour",)
    )

    # Marked above 0.2 are 7 pixels, of which 5 of 5 are right: 2·5 / (7 + 5); and so on.
    assert found["tumour"] == (10 / 12, 10 / 11, 10 / 10, 8 / 9, 6 / 8, 4 / 7, 2 / 6)


def test_a_probability_on_the_threshold_is_not_above_it():
    likely = np.full((1, 1, 1, 1), 0.3, np.float32)

    found = dices_at_candidates(likely, np.ones((1, 1, 1, 1), bool), ("tumour",))

    assert found["tumour"] == (1, 0, 0, 0, 0, 0, 0)


def test_the_best_mean_over_patients_is_taken_for_each_region():
    whole = [(0.5, 0.6, 0.7, 0.6, 0.5, 0.4, 0.3), (0.5, 0.8, 0.6, 0.5, 0.5, 0.4, 0.3)]
    core = [(0.1, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5), (0.1, 0.1, 0.1, 0.2, 0.3, 0.4, 0.1)]
    patients = [
        PatientDices(str(i), "NORTH", {"whole": a, "core": b})
        for i, (a, b) in enumerate(zip(whole, core, strict=True))
    ]

    assert mean_dices(patients, "whole")[:3] == pytest.approx((0.5, 0.7, 0.65))
    assert chosen_thresholds(patients) == {"whole": 0.3, "core": 0.7}
    assert chosen_thresholds(patients[::-1]) == chosen_thresholds(patients)


@pytest.mark.parametrize(
    ("dices", "wanted"),
    [
        ((0.7,) * 7, 0.5),
        ((0.7, 0.7, 0.6, 0.5, 0.7, 0.7, 0.7), 0.6),
        ((0.1, 0.7, 0.6, 0.5, 0.6, 0.7, 0.1), 0.3),
        ((0.0,) * 7, 0.5),
    ],
)
def test_of_equals_the_nearest_to_a_half_is_taken_then_the_lower(dices, wanted):
    assert chosen_thresholds([patient("a", *dices)]) == {"tumour": wanted}


def test_nobody_chooses_nothing():
    with pytest.raises(ValueError, match="no validation patient"):
        chosen_thresholds([])


@pytest.mark.parametrize("dices", [(0.5,) * 6, (0.5,) * 6 + (1.5,)])
def test_what_are_no_dices_is_refused(dices):
    with pytest.raises(ValueError, match=f"{len(CANDIDATES)} Dices"):
        patient("a", *dices)

"""Summaries against figures worked out by hand, then against scipy."""

import json
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from roundelay.evaluation.intervals import Interval
from roundelay.evaluation.scores import score_patient
from roundelay.evaluation.summary import summarize
from scored import patient


def patients(dices):
    return [patient(number, float(dice)) for number, dice in enumerate(dices)]


def scored(name, prediction, reference, spacing=None):
    return score_patient(name, "north", "test", prediction, reference, spacing)


def test_mean_and_median_are_over_patients():
    summary = summarize(patients([0.2, 0.9, 0.7]))

    assert summary.patients == 3
    assert summary.dice_mean == pytest.approx(0.6)
    assert summary.dice_median == 0.7


def test_sites_stand_apart_in_the_order_of_their_names():
    summary = summarize(
        [
            patient("a", 0.2, site="west"),
            patient("b", 0.6, site="east"),
            patient("c", 0.8, site="west"),
            patient("d", 0.95, site="west"),
            patient("e", 0.6, site="west"),
            patient("f", 0.5, site="west"),
        ]
    )

    assert list(summary.by_site) == ["east", "west"]
    east, west = summary.by_site.values()
    assert (east.patients, east.mean, east.median, east.mean_interval) == (1, 0.6, 0.6, None)
    assert (west.patients, west.mean, west.median) == (5, pytest.approx(0.61), 0.6)
    assert west.mean_interval.low < 0.61 < west.mean_interval.high


def test_slice_figures_weigh_slices_and_not_patients():
    large = patient(
        "a",
        0.5,
        slices=90,
        reference_slices=30,
        slice_dice=0.9,
        slice_dice_of_empty_prediction=60 / 90,
        positive_slice_dice=0.8,
    )
    small = patient(
        "b",
        0.5,
        slices=10,
        reference_slices=10,
        slice_dice=0.1,
        slice_dice_of_empty_prediction=0.0,
        positive_slice_dice=0.4,
    )

    summary = summarize([large, small])

    assert (summary.slices, summary.tumour_slices) == (100, 40)
    assert summary.slice_dice == pytest.approx(0.82)
    assert summary.slice_dice_of_empty_prediction == pytest.approx(0.6)
    assert summary.positive_slice_dice == pytest.approx(0.7)


def test_a_patient_without_tumour_slices_takes_no_part_in_their_mean():
    healthy = patient(
        "b",
        1.0,
        reference_slices=0,
        slice_dice=1.0,
        slice_dice_of_empty_prediction=1.0,
        positive_slice_dice=None,
    )

    assert summarize([patient("a", 0.5), healthy]).positive_slice_dice == pytest.approx(0.5)
    assert summarize([healthy]).positive_slice_dice is None


def test_pooled_dice_is_that_of_all_voxels_and_not_the_mean():
    summary = summarize(
        [patient("a", 0.9, tp=900, fp=100, fn=100), patient("b", 0.0, tp=0, fp=0, fn=100)]
    )

    assert summary.pooled_dice == pytest.approx(1800 / 2100)
    assert summary.dice_mean == pytest.approx(0.45)


def test_marking_nothing_on_2556_empty_of_3929_slices_has_slice_dice_0_6505():
    reference = np.zeros((3929, 2, 2), bool)
    reference[np.random.default_rng(0).permutation(3929)[2556:], 1, 1] = True
    parts = np.array_split(reference, 110)

    summary = summarize(
        [scored(str(number), np.zeros_like(part), part) for number, part in enumerate(parts)]
    )

    assert summary.patients == 110
    assert (summary.slices, summary.tumour_slices) == (3929, 3929 - 2556)
    assert round(summary.slice_dice_of_empty_prediction, 4) == 0.6505
    assert round(summary.slice_dice, 4) == 0.6505
    assert summary.dice_mean == summary.pooled_dice == summary.positive_slice_dice == 0
    assert summary.hd95_missing == 110


def test_a_missed_lesion_is_counted_in_the_mean_distance_and_never_dropped():
    reference = np.zeros((2, 3, 6), bool)
    reference[0, 0, 0] = True
    near = np.roll(reference, 2, axis=2)
    found = scored("found", near, reference)
    missed = scored("missed", np.zeros_like(reference), reference)

    summary = summarize([found, missed])

    assert summary.hd95_missing == 1
    assert summary.hd95_mean == pytest.approx((2 + 7) / 2)  # the diagonal of 2 x 3 x 6 is 7
    assert summary.hd95_mean > summarize([found]).hd95_mean
    assert summary.dice_mean == 0


def test_the_median_distance_counts_diagonals_too():
    scores = [
        patient("a", 0.9, hd95=2.0),
        patient("b", 0.9, hd95=3.0),
        patient("c", 0.0, hd95=sqrt(100), hd95_missing=True),
        patient("d", 0.0, hd95=300.0, hd95_missing=True),
    ]

    summary = summarize(scores)

    assert summary.hd95_median == pytest.approx(6.5)
    assert summary.hd95_mean == pytest.approx(315 / 4)
    assert summary.hd95_missing == 2


@pytest.mark.parametrize("unit", ["mm", "pixels"])
def test_the_unit_of_distances_is_that_of_the_patients(unit):
    assert summarize([patient("a", 0.5, unit=unit)]).unit == unit


def test_mm_and_pixels_are_never_averaged():
    summary = summarize([patient("a", 0.5, unit="mm"), patient("b", 0.7, unit="pixels")])

    assert summary.unit == "mixed"
    assert summary.hd95_mean is None
    assert summary.hd95_median is None
    assert summary.dice_mean == pytest.approx(0.6)


def test_no_patient_is_refused_in_plain_words():
    with pytest.raises(ValueError, match="no patient was scored"):
        summarize([])


def test_a_patient_who_is_counted_twice_is_refused_and_not_named():
    with pytest.raises(ValueError, match="scored twice") as caught:
        summarize([patient("secret", 0.5), patient("secret", 0.6)])

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("count", [1, 4])
def test_below_five_patients_there_is_no_interval(count):
    summary = summarize(patients([0.8, 0.5, 0.6, 0.9][:count]))

    assert summary.dice_mean_interval is None
    assert summary.dice_median_interval is None


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_patients_of_one_value_have_that_value_as_interval(value):
    summary = summarize(patients([value] * 5))

    assert summary.dice_mean_interval == Interval(value, value, "constant")
    assert summary.dice_median_interval == Interval(value, value, "constant")


@pytest.mark.parametrize(
    ("field", "statistic"),
    [("dice_mean_interval", np.mean), ("dice_median_interval", np.median)],
)
@pytest.mark.parametrize("seed", [0, 7])
def test_intervals_are_those_of_scipy_for_the_same_seed(field, statistic, seed):
    dices = np.sort(np.random.default_rng(1).beta(5, 2, 31))
    expected = bootstrap(
        (dices,),
        statistic,
        n_resamples=9999,
        confidence_level=0.95,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval

    interval = getattr(summarize(patients(dices), seed=seed), field)

    assert interval.method == "bca"
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bca_leans_to_the_long_tail_where_a_percentile_interval_does_not():
    dices = np.sort(np.random.default_rng(2).beta(8, 1, 25))
    plain = bootstrap(
        (dices,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval

    interval = summarize(patients(dices)).dice_mean_interval

    assert interval.low < plain.low
    assert interval.high < plain.high


def test_where_bca_has_no_answer_the_percentile_interval_stands_and_says_so():
    dices = [0.5, 0.5, 0.5, 0.5, 0.9]
    expected = bootstrap(
        (dices,), np.median, n_resamples=9999, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval

    summary = summarize(patients(dices))

    assert summary.dice_median_interval == Interval(expected.low, expected.high, "percentile")
    assert summary.dice_mean_interval.method == "bca"


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    scores = patients(np.random.default_rng(3).beta(5, 2, 20))

    assert summarize(scores, seed=4) == summarize(scores, seed=4)
    assert (
        summarize(scores, seed=4).dice_mean_interval != summarize(scores, seed=5).dice_mean_interval
    )


def test_global_randomness_neither_matters_nor_is_touched():
    scores = patients([0.1, 0.5, 0.9, 0.8, 0.3])
    np.random.seed(1)
    first = summarize(scores)
    drawn = np.random.random()

    np.random.seed(1)

    assert np.random.random() == drawn
    assert summarize(scores) == first


def test_the_order_of_the_patients_makes_no_difference():
    random = np.random.default_rng(5)
    scores = patients(random.beta(5, 2, 15))
    shuffled = [scores[place] for place in random.permutation(15)]

    assert summarize(shuffled) == summarize(scores)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    random = np.random.default_rng(11)
    held = 0
    for _ in range(100):
        interval = summarize(patients(random.beta(5, 2, 30))).dice_mean_interval
        held += interval.low <= 5 / 7 <= interval.high

    assert 88 <= held <= 99


def test_more_patients_narrow_the_interval_as_the_root_of_their_number():
    random = np.random.default_rng(12)
    few, many = (
        summarize(patients(random.beta(5, 2, number))).dice_mean_interval for number in (40, 640)
    )

    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.25)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([0.0, 1e-12, 0.5, 0.5 + 1e-16, 0.7, 1.0]), min_size=1, max_size=7))
def test_any_summary_is_plain_json_without_nan_and_its_intervals_are_in_order(dices):
    summary = summarize(patients(dices))

    plain = json.loads(json.dumps(summary.as_json(), allow_nan=False))

    assert plain == summary.as_json()
    for interval in (summary.dice_mean_interval, summary.dice_median_interval):
        assert (interval is None) == (len(dices) < 5)
        if interval is not None:
            assert min(dices) - 1e-9 <= interval.low <= interval.high <= max(dices) + 1e-9

"""Intervals over seeds and patients: by counting every resample, against SciPy, by simulation."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, t

from roundelay.evaluation.intervals import (
    Estimate,
    Interval,
    estimate,
    mean_interval,
    median_interval,
)


def every_resample(table):
    """The means of all resamples of two of three seeds and three of four patients, each once."""
    seeds, patients = table.shape
    return [
        table[np.ix_(rows, columns)].mean()
        for rows in product(range(seeds), repeat=seeds - 1)
        for columns in product(range(patients), repeat=patients - 1)
    ]


def test_the_standard_error_is_that_of_all_resamples_of_seeds_and_patients():
    table = np.random.default_rng(1).beta(5, 2, (3, 4))

    found = estimate(table, seed=0)

    assert found.mean == pytest.approx(table.mean())
    assert found.error == pytest.approx(np.std(every_resample(table)), rel=0.03)


def test_of_a_difference_patients_are_drawn_together_and_seeds_of_each_on_their_own():
    draw = np.random.default_rng(2)
    patients = draw.normal(0.5, 0.2, (1, 4))
    first, second = (patients + draw.normal(0, 0.02, (3, 4)) for _ in range(2))
    expected = [
        first[np.ix_(rows, columns)].mean() - second[np.ix_(others, columns)].mean()
        for rows in product(range(3), repeat=2)
        for others in product(range(3), repeat=2)
        for columns in product(range(4), repeat=3)
    ]

    found = estimate(first, second, seed=0)

    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.error == pytest.approx(np.std(expected), rel=0.03)
    assert found.error < 0.05  # the patients' own 0.2 is in both methods, and cancels


def test_of_a_median_too_by_counting_every_resample():
    table = np.random.default_rng(9).beta(5, 2, (3, 5))
    medians = [
        np.median(table[np.ix_(rows, columns)].mean(axis=0))
        for rows in product(range(3), repeat=2)
        for columns in product(range(5), repeat=4)
    ]
    freedom = estimate(table, seed=0).freedom

    interval = median_interval(table.tolist(), 0)

    middle = np.median(table.mean(axis=0))
    reach = t.isf(0.025, freedom) * np.std(medians)
    assert middle - interval.low == pytest.approx(reach, rel=0.03)
    assert interval.high == pytest.approx(min(1, middle + reach), rel=0.03)


def test_a_median_of_seeds_that_differ_and_patients_that_dont_by_hand():
    table = [[0.5] * 6, [0.6] * 6, [0.7] * 6]

    interval = median_interval(table, 0)

    # As of the mean: the standard error of three seeds' mean, two degrees of freedom.
    assert interval.low == pytest.approx(0.6 - t.isf(0.025, 2) * (0.01 / 3) ** 0.5, abs=0.01)
    assert median_interval([[0.5] * 6] * 3, 0) == Interval(0.5, 0.5, "constant", interval.over)
    assert median_interval([[0.4] * 4] * 3, 0) is None


def test_of_one_seed_a_medians_interval_is_over_patients():
    assert median_interval([[0.1, 0.4, 0.5, 0.7, 0.9, 0.8]], 0).over == "patients"


def test_seeds_alone_by_hand():
    table = np.repeat([[0.5], [0.6], [0.7]], 6, axis=1)  # patients don't differ

    found = estimate(table, seed=0)

    # Variance of the mean: 0.01 / 3, known from three seeds, so two degrees of freedom.
    assert found.freedom == pytest.approx(2)
    assert found.error == pytest.approx((0.01 / 3) ** 0.5, rel=0.03)
    interval = found.interval(lowest=0.0)
    assert interval.low == pytest.approx(0.6 - t.isf(0.025, 2) * 0.0577, abs=0.01)
    assert (interval.method, interval.over) == ("t", "seeds and patients")


def test_patients_alone_are_students_interval():
    row = np.random.default_rng(3).beta(5, 2, 12)
    table = np.repeat([row], 3, axis=0)  # seeds don't differ
    expected = t.interval(0.95, 11, row.mean(), row.std(ddof=1) / 12**0.5)

    interval = mean_interval(table.tolist(), 0)

    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.005)


def test_p_is_below_5_percent_exactly_where_the_interval_leaves_0_out():
    for mean in np.linspace(-0.3, 0.3, 61):
        found = Estimate(mean, 0.1, 4.0)
        interval = found.interval(lowest=-1.0)
        assert (found.p < 0.05) == (not interval.low <= 0 <= interval.high)


def test_one_seed_has_scipys_interval_over_patients_and_says_so():
    dices = np.random.default_rng(4).beta(5, 2, 15)
    expected = bootstrap(
        (np.sort(dices),), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval

    interval = mean_interval([dices.tolist()], 0)

    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert interval.over == "patients"


def test_seeds_that_differ_widen_the_interval():
    draw = np.random.default_rng(5)
    patients = draw.normal(0.6, 0.05, 20)

    def wide(apart):
        seeds = [(patients + move).tolist() for move in (-apart, 0.0, apart)]
        interval = mean_interval(seeds, 0)
        return interval.high - interval.low

    assert wide(0.1) > 3 * wide(0.0)


def test_four_patients_have_no_interval_and_equal_values_are_one():
    assert mean_interval([[0.5, 0.6, 0.7, 0.8]] * 3, 0) is None
    assert mean_interval([[0.5, 0.6, 0.7, 0.8]], 0) is None
    assert mean_interval([[0.5] * 5] * 3, 0) == Interval(0.5, 0.5, "constant", "seeds and patients")


def test_the_order_of_patients_makes_no_difference():
    table = np.random.default_rng(6).beta(5, 2, (3, 9))
    moved = table[:, np.random.default_rng(7).permutation(9)]

    assert mean_interval(table.tolist(), 0) == mean_interval(moved.tolist(), 0)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(2, 4).flatmap(
        lambda seeds: st.lists(
            st.lists(st.sampled_from([0.0, 1e-12, 0.5, 0.7, 1.0]), min_size=5, max_size=5),
            min_size=seeds,
            max_size=seeds,
        )
    )
)
def test_an_interval_holds_its_mean_and_lies_between_0_and_1(table):
    interval = mean_interval(table, 0)

    assert 0 <= interval.low <= np.mean(table) + 1e-12
    assert np.mean(table) - 1e-12 <= interval.high <= 1


def test_intervals_over_seeds_and_patients_hold_the_true_mean_as_often_as_they_say():
    draw = np.random.default_rng(8)
    held = 0
    for _ in range(100):
        seeds = draw.normal(0, 0.04, (3, 1))
        patients = draw.normal(0.6, 0.1, (1, 20))
        found = estimate(seeds + patients + draw.normal(0, 0.03, (3, 20)), seed=0)
        interval = found.interval(lowest=0.0)
        held += interval.low <= 0.6 <= interval.high

    assert 90 <= held <= 100  # 95 or more: a resample counts noise of a single cell thrice

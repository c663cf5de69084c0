"""Comparisons of arms: by hand, and against SciPy and statsmodels' published example of Holm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from roundelay.evaluation.comparison import compare, holm, mean_over_seeds, signed_rank


def dice(values):
    return {f"p{i}": value for i, value in enumerate(values)}


BASE = [0.50, 0.62, 0.71, 0.33, 0.84, 0.47, 0.69, 0.58]
GAIN = [value + 0.1 + i / 1000 for i, value in enumerate(BASE)]


def test_a_steady_gain_is_told_from_noise_with_its_size_first():
    (found,) = compare({"cwt": dice(GAIN), "swt": dice(BASE)})

    assert found.difference == pytest.approx(0.1035)
    assert (found.better, found.worse, found.patients) == (8, 0, 8)
    assert found.p == pytest.approx(2 / 2**8)  # the exact test: all eight signs agree
    assert found.interval.low > 0.1
    assert str(found).startswith("cwt is on average 0.103 Dice better than swt (95 % interval")
    assert "more than chance explains" in str(found)


def test_holm_is_over_all_comparisons_of_the_study():
    first, second = compare(
        {
            "cwt": dice(GAIN),
            "swt": dice(BASE),
            "pooled": dice(BASE[::-1]),
        }
    )

    assert first.p_holm == pytest.approx(min(1, 2 * first.p))
    assert second.p_holm == pytest.approx(max(first.p_holm, second.p))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(values):
    adjusted = holm(values)

    assert all(a >= v - 1e-12 for a, v in zip(adjusted, values, strict=True))
    assert [a for _, a in sorted(zip(values, adjusted, strict=True))] == sorted(adjusted)


def test_five_patients_can_not_tell():
    (found,) = compare({"cwt": dice(BASE[:5]), "swt": dice([v - 0.2 for v in BASE[:5]])})

    assert (found.p, found.p_holm, found.beyond_noise) == (None, None, False)
    assert "too few patients" in str(found)


def test_equal_arms_do_not_differ():
    (found,) = compare({"cwt": dice(BASE), "swt": dice(BASE)})

    assert (found.difference, found.p, found.beyond_noise) == (0.0, 1.0, False)


def test_the_signed_rank_test_is_scipys():
    differences = [0.1, -0.05, 0.2, 0.3, -0.01, 0.07, 0.0]

    assert signed_rank(differences) == wilcoxon(differences, zero_method="pratt").pvalue


def test_a_patient_counts_once_however_many_seeds():
    assert mean_over_seeds([{"a": 0.2, "b": 0.4}, {"a": 0.4, "b": 0.4}]) == pytest.approx(
        {"a": 0.3, "b": 0.4}
    )


def test_arms_without_a_common_patient_are_refused():
    with pytest.raises(ValueError, match="no patient in common"):
        compare({"cwt": {"a": 0.5}, "swt": {"b": 0.5}})

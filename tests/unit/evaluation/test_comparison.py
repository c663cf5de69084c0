"""Comparisons of methods: by hand, when there is no verdict, and how often chance gets one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundelay.evaluation.comparison import compare, holm, signed, why_no_verdict


def seeds_of(values, *, count=3, apart=0.01, first=0):
    """Dices by patient of some seeds, each seed `apart` from the next, with these means."""
    moves = (np.arange(count) - (count - 1) / 2) * apart
    return {
        seed: {f"p{i}": value + move for i, value in enumerate(values)}
        for seed, move in enumerate(moves, start=first)
    }


BASE = [0.50, 0.62, 0.71, 0.33, 0.84, 0.47, 0.69, 0.58, 0.41, 0.66]
GAIN = [value + 0.1 + i / 1000 for i, value in enumerate(BASE)]


def test_a_steady_gain_is_told_from_noise_with_its_size_first():
    (found,) = compare({"cwt": seeds_of(GAIN), "swt": seeds_of(BASE)})

    assert found.difference == pytest.approx(0.1045)
    assert (found.better, found.worse, found.patients, found.seeds) == (10, 0, 10, 3)
    assert found.beyond_noise and found.no_verdict is None
    assert 0.05 < found.interval.low < 0.1045 < found.interval.high
    assert str(found).startswith("cwt is on average 0.104 Dice better than swt (95 % interval +")
    assert "3 seeds, 10 patients), ahead in 10 and behind in 0: more than chance" in str(found)


def test_a_gain_no_larger_than_the_spread_of_seeds_may_be_chance_whatever_patients_say():
    (found,) = compare({"cwt": seeds_of(GAIN, apart=0.15), "swt": seeds_of(BASE, apart=-0.15)})

    assert (found.better, found.worse) == (10, 0)
    assert not found.beyond_noise and "may be chance (p = " in str(found)
    assert found.interval.low < 0 < found.interval.high


def test_what_a_seed_does_to_both_methods_alike_cancels_as_patients_do():
    ours, theirs = (seeds_of(values, apart=0.15) for values in (GAIN, BASE))
    steady = [{n: seeds_of(v, apart=0.0)[n] for n in range(3)} for v in (GAIN, BASE)]

    (found,) = compare({"cwt": ours, "swt": theirs})
    (expected,) = compare({"cwt": steady[0], "swt": steady[1]})

    assert found.beyond_noise
    assert found.interval.low == pytest.approx(expected.interval.low)
    # Other seeds, or earlier versions' judgement: each method's are drawn on their own.
    others = seeds_of(BASE, apart=0.15, first=3)
    for (unpaired,) in (
        compare({"cwt": ours, "swt": others}),
        compare({"cwt": ours, "swt": theirs}, paired=False),
    ):
        assert not unpaired.beyond_noise and unpaired.difference == found.difference
        assert unpaired.interval.low < 0 < unpaired.interval.high


def test_pairs_are_of_the_same_seed_in_whatever_order_they_come():
    ours, theirs = (seeds_of(values, apart=0.15) for values in (GAIN, BASE))

    assert compare({"cwt": ours, "swt": dict(reversed(theirs.items()))}) == compare(
        {"cwt": ours, "swt": theirs}
    )


@pytest.mark.parametrize(
    ("seeds", "patients", "missing"),
    [(1, 10, "three seeds"), (2, 10, "three seeds"), (3, 9, "ten patients")],
)
def test_below_three_seeds_or_ten_patients_there_are_figures_and_no_verdict(
    seeds, patients, missing
):
    ours, theirs = GAIN[:patients], BASE[:patients]

    (found,) = compare({"cwt": seeds_of(ours, count=seeds), "swt": seeds_of(theirs, count=seeds)})

    assert (found.p, found.p_holm, found.beyond_noise) == (None, None, False)
    assert found.difference == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert str(found).startswith("cwt less swt: +0.10")
    for word in ("chance", "p =", "ahead", "better", "worse"):
        assert word not in str(found)
    assert "No verdict from" in found.no_verdict and missing in found.no_verdict


def test_a_sign_does_not_contradict_who_is_ahead():
    """Of 0.0004 on average nothing is left in three digits, nor a sign that could be the wrong
    one."""
    (found,) = compare({"cwt": {0: {"A": 0.5, "B": 0.4992}}, "swt": {0: {"A": 0.5, "B": 0.5}}})
    assert str(found).startswith("cwt less swt: 0.000 Dice") and found.worse == 1

    shown = [signed(value) for value in (-0.0351, 0.0351, -0.0004, 0.0004, 0.0, -0.0)]
    assert shown == ["−0.035", "+0.035", "0.000", "0.000", "0.000", "0.000"]
    assert [signed(value, 2) for value in (-0.0351, -0.004)] == ["−0.04", "0.00"]


def test_the_method_with_fewer_seeds_decides():
    (found,) = compare({"cwt": seeds_of(GAIN), "swt": seeds_of(BASE, count=2)})

    assert found.seeds == 2 and found.p is None and found.interval is None


def test_what_is_missing_is_said_with_what_to_do():
    assert why_no_verdict(3, 10) is None
    assert "seeds = [0, 1, 2]" in why_no_verdict(1, 10)
    assert "from 1 seed:" in why_no_verdict(1, 10)
    assert "from 2 seeds and 9 patients:" in why_no_verdict(2, 9)
    assert "split" in why_no_verdict(5, 9) and "seeds" not in why_no_verdict(5, 9)


def test_between_five_and_nine_patients_there_is_an_interval_below_that_none():
    def interval(patients):
        (found,) = compare({"a": seeds_of(GAIN[:patients]), "b": seeds_of(BASE[:patients])})
        return found.interval

    assert interval(5) and interval(9)
    assert interval(4) is None


def test_holm_is_over_all_comparisons_of_the_study():
    first, second = compare(
        {"cwt": seeds_of(GAIN), "swt": seeds_of(BASE), "pooled": seeds_of(BASE[::-1])}
    )

    assert first.p_holm == pytest.approx(min(1, 2 * first.p))
    assert second.p_holm == pytest.approx(max(first.p_holm, second.p))


def test_comparisons_without_a_verdict_take_no_part_in_the_correction():
    first, second = compare(
        {"cwt": seeds_of(GAIN), "swt": seeds_of(BASE, count=1), "pooled": seeds_of(BASE)}
    )

    assert first.p_holm is None
    assert second.p_holm == second.p


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(values):
    adjusted = holm(values)

    assert all(a >= v - 1e-12 for a, v in zip(adjusted, values, strict=True))
    assert [a for _, a in sorted(zip(values, adjusted, strict=True))] == sorted(adjusted)


def test_equal_methods_do_not_differ():
    (found,) = compare({"cwt": seeds_of(BASE), "swt": seeds_of(BASE)})

    assert (found.difference, found.beyond_noise) == (0.0, False)
    assert found.p == pytest.approx(1.0)


def test_without_any_spread_a_difference_is_no_noise_and_none_is():
    steady = {"a": seeds_of([0.5] * 10, apart=0.0), "b": seeds_of([0.4] * 10, apart=0.0)}

    assert compare(steady)[0].p == 0.0
    assert compare({"a": steady["a"], "b": steady["a"]})[0].p == 1.0


def test_only_patients_of_both_count():
    theirs = {seed: {**dice, "other": 0.1} for seed, dice in seeds_of(BASE).items()}

    (found,) = compare({"cwt": seeds_of(GAIN), "swt": theirs})

    assert found.patients == 10 and found.difference == pytest.approx(0.1045)


def test_methods_without_a_common_patient_are_refused():
    with pytest.raises(ValueError, match="no patient in common"):
        compare({"cwt": {0: {"a": 0.5}}, "swt": {0: {"b": 0.5}}})


@pytest.mark.parametrize("shared", [0.0, 0.05])
@pytest.mark.parametrize("by_seed", [0.0, 0.03, 0.1])
def test_chance_gets_a_verdict_no_more_often_than_1_time_in_20(by_seed, shared):
    """Three seeds, twenty patients, two methods that differ in luck alone, seeds' luck included."""
    draw = np.random.default_rng(9)
    verdicts = 0
    for _ in range(100):
        patients = draw.normal(0.6, 0.15, 20)
        start = draw.normal(0, shared, (3, 1))  # what a seed's first weights do to both
        methods = {}
        for name in ("cwt", "swt"):
            own = patients + draw.normal(0, 0.05, 20)  # a patient may suit one method by chance
            noise = draw.normal(0, by_seed, (3, 1)) + draw.normal(0, 0.03, (3, 20))
            methods[name] = {seed: dict(zip("abcdefghijklmnopqrst", row, strict=True))
                             for seed, row in enumerate(own + start + noise)}  # fmt: skip
        verdicts += compare(methods)[0].beyond_noise

    assert verdicts <= 5 + 2 * (100 * 0.05 * 0.95) ** 0.5

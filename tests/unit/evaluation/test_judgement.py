"""What a run comes to: methods over their seeds, comparisons, groups, forgetting."""

from dataclasses import replace

import numpy as np
import pytest

from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.judgement import ArmScores, judge, scores_by_seed
from roundelay.evaluation.scores import score_patient


def score(patient, dice=1.0):
    """A patient of the site that the name begins with."""
    mask = np.ones((1, 4, 4), bool)
    return replace(score_patient(patient, patient[0], "test", mask, mask), dice=dice)


def by_patient(result):
    return {score.patient: score.dice for score in result.scores}


def arm(method, seed, dices, home=None, validations=()):
    scores = tuple(score(patient, dice) for patient, dice in dices.items())
    return ArmScores(f"{method}-{seed}", method, seed, home, scores, validations)


def test_a_patients_dice_is_the_mean_over_seeds():
    judged = judge([arm("cwt", 0, {"A1": 0.2, "B1": 0.8}), arm("cwt", 1, {"A1": 0.4, "B1": 0.6})])

    (result,) = judged.methods
    assert by_patient(result) == pytest.approx({"A1": 0.3, "B1": 0.7})
    assert result.dices == ({"A1": 0.2, "B1": 0.8}, {"A1": 0.4, "B1": 0.6})
    assert result.single_seeds == pytest.approx((0.5, 0.5))
    assert result.worst == ("A", pytest.approx(0.3)) and result.gap == pytest.approx(0.4)
    assert judged.comparisons == ()


def test_the_first_method_is_compared_with_each_other_one():
    same = {f"A{i}": 0.5 for i in range(8)}
    better = {patient: 0.9 for patient in same}

    judged = judge([arm("cwt", 0, better), arm("swt", 0, same), arm("pooled", 0, better)])

    assert [(c.first, c.second) for c in judged.comparisons] == [("cwt", "swt"), ("cwt", "pooled")]
    assert judged.comparisons[0].difference == pytest.approx(0.4)
    assert judged.comparisons[1].difference == 0


def test_a_verdict_is_over_the_seeds_and_patients_of_both_methods():
    dices = {f"A{i}": 0.4 + i / 50 for i in range(10)}
    arms = [
        arm(method, seed, {patient: dice + gain + seed / 100 for patient, dice in dices.items()})
        for method, gain in (("cwt", 0.1), ("swt", 0.0))
        for seed in (0, 1, 2)
    ]

    judged = judge(arms)

    (comparison,) = judged.as_json()["comparisons"]
    assert comparison["beyond_noise"] and comparison["no_verdict"] is None
    assert (comparison["seeds"], comparison["patients"]) == (3, 10)
    assert judged.methods[0].interval.over == "seeds and patients"
    row = judged.as_json()["methods"][0]
    assert row["dice_mean_interval"]["over"] == "seeds and patients"
    assert {g.interval.over for g in judged.groups if g.interval} == {"seeds and patients"}


def test_without_a_verdict_summary_json_has_figures_and_the_reason():
    arms = [arm("cwt", 0, {"A1": 0.5, "B1": 0.7}), arm("swt", 0, {"A1": 0.4, "B1": 0.4})]

    (found,) = judge(arms).as_json()["comparisons"]

    assert found["difference"] == pytest.approx(0.2)
    assert (found["p"], found["p_holm"], found["interval"]) == (None, None, None)
    assert "1 seed and 2 patients" in found["no_verdict"]


def test_rows_of_whole_hospitals_are_not_paired():
    whole = [replace(score("A all", 0.5), patients=4)]
    arms = [ArmScores("cwt-0", "cwt", 0, None, tuple(whole)), arm("swt", 0, {"A all": 0.4})]

    assert judge(arms).comparisons == ()


def test_each_patient_of_local_has_its_own_hospitals_model():
    both = {"A1": 0.1, "B1": 0.2}
    arms = [arm("local", 0, both, home="A"), arm("local", 0, {"A1": 0.9, "B1": 0.8}, home="B")]

    (result,) = judge(arms).methods

    assert by_patient(result) == {"A1": 0.1, "B1": 0.8}


def test_a_seed_that_is_not_whole_yet_is_left_out():
    both = {"A1": 0.5, "A2": 0.5, "B1": 0.5}
    arms = [arm("local", 0, both, "A"), arm("local", 0, both, "B"), arm("local", 1, both, "A")]

    assert {n: len(own) for n, own in scores_by_seed(arms, "local").items()} == {0: 3}
    assert sorted(s.patient for s in judge(arms).methods[0].scores) == ["A1", "A2", "B1"]

    arms.append(arm("local", 1, both, "B"))
    assert [len(own) for own in scores_by_seed(arms, "local").values()] == [3, 3]


def test_arms_without_scores_say_nothing_yet():
    judged = judge([arm("cwt", 0, {})])

    assert (judged.methods, judged.comparisons, judged.groups) == ((), (), ())
    assert judged.as_json() == {"methods": [], "comparisons": [], "groups": [], "forgetting": {}}


def test_forgetting_is_judged_of_arms_with_more_than_one_validation():
    rows = (
        Validation(0, 1, ("A",), {"A": 0.8}, {"A": 1}),
        Validation(1, 1, ("B",), {"A": 0.5}, {"A": 1}),
    )

    judged = judge([arm("cwt", 0, {"A1": 0.5}, validations=rows), arm("swt", 0, {"A1": 0.5})])

    assert list(judged.forgetting) == ["cwt-0"]
    assert judged.as_json()["forgetting"]["cwt-0"]["mean"] == pytest.approx(0.3)


def test_patients_that_a_hospital_names_otherwise_in_another_seed_stand_in_neither():
    """A finished training is judged, also where a hospital's rows change within a run."""
    first, second = {"A1": 0.2, "B1": 0.8}, {"A1": 0.4, "B2": 0.6}

    judged = judge([arm("cwt", 0, first), arm("cwt", 1, second)])

    assert [row.patient for row in judged.methods[0].scores] == ["A1"]
    assert judge([arm("cwt", 0, {"A1": 0.2}), arm("cwt", 1, {"A2": 0.2})]).methods == ()


def test_methods_without_a_patient_in_common_are_not_compared():
    judged = judge([arm("cwt", 0, {"A1": 0.2}), arm("swt", 0, {"B1": 0.4})])

    assert [one.method for one in judged.methods] == ["cwt", "swt"]
    assert judged.comparisons == ()

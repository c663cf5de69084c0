"""One method over all folds, regions beside the main one."""

from dataclasses import replace
from statistics import fmean, median

import pytest

from roundelay.evaluation.cross_validation import across_folds
from roundelay.evaluation.intervals import median_interval
from roundelay.evaluation.judgement import ArmScores, judge
from roundelay.evaluation.scores import OF_A_REGION, RegionScore
from scored import patient

CORE = {"a": 0.1, "b": 0.3, "c": 0.5, "d": 0.6, "e": 0.9}


def scores(shift):
    found = []
    for name, dice in CORE.items():
        one = patient(name, 0.8)
        core = RegionScore(**{key: getattr(one, key) for key in OF_A_REGION})
        found.append(replace(one, regions={"core": replace(core, dice=dice + shift)}))
    return tuple(found)


@pytest.mark.usefixtures("few_resamples")
def test_a_region_has_mean_median_and_intervals_over_seeds_and_patients():
    arms = [ArmScores(f"cwt-{n}", "cwt", n, None, scores(n / 20)) for n in (0, 1, 2)]

    found = across_folds(judge(arms).methods[0], arms, dict.fromkeys(CORE, 1))

    core = found.regions["core"]
    means = [dice + 0.05 for dice in CORE.values()]
    assert (core.mean, core.median) == pytest.approx((fmean(means), median(means)))
    table = [[dice + n / 20 for dice in CORE.values()] for n in (0, 1, 2)]
    assert core.median_interval == median_interval(table, 0)
    assert found.dice.mean == pytest.approx(0.8) and found.spread == pytest.approx(0)
    assert found.as_json()["regions"]["core"]["mean_interval"]["over"] == "seeds and patients"

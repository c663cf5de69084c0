"""A run as values, while it goes."""

from pathlib import Path

import numpy as np

from roundelay.evaluation.scores import score_patient
from roundelay.records.contents import ArmRun, Run
from surveys import study


def local(seed: int, site: str, patients: tuple[str, ...]) -> ArmRun:
    mask = np.ones((1, 4, 4), bool)
    scores = tuple(score_patient(name, name[0], "test", mask, mask) for name in patients)
    return ArmRun(
        f"local-{seed}-{site}", "local", seed, None, site, (), (), (), 0, (), 0, scores, ""
    )


def test_a_seed_that_is_not_whole_yet_is_left_out():
    both = ("A1", "A2", "B1")
    arms = [local(0, "A", both), local(0, "B", both), local(1, "A", both)]
    run = Run(Path(), study(top={"arms": ("local",)}), {}, tuple(arms))

    assert [len(seed) for seed in run.seeds_of("local")] == [3]
    assert sorted(score.patient for score in run.scores_of("local")) == ["A1", "A2", "B1"]

    whole = Run(Path(), run.study, {}, (*arms, local(1, "B", both)))
    assert [len(seed) for seed in whole.seeds_of("local")] == [3, 3]

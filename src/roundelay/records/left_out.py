"""Runs in which every hospital was left out in turn, taken together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from roundelay.records.contents import ArmRun, Run


def combine_left_out(runs: Mapping[str, Run]) -> Run:
    """One run whose patients were each scored by the model that never saw their hospital.

    A hospital's own model (``local``) has no place here: it is the one that did not train.
    """
    first = next(iter(runs.values()))
    arms: dict[str, ArmRun] = {}
    for site, run in runs.items():
        for arm in run.arms:
            if arm.site is not None:
                continue
            scores = tuple(score for score in arm.scores if score.site == site)
            before = arms.get(arm.label, replace(arm, scores=()))
            arms[arm.label] = replace(before, scores=before.scores + scores)
    problems = tuple(f"{site}: {p}" for site, run in runs.items() for p in run.problems)
    finished = all(run.finished for run in runs.values())
    return replace(
        first, arms=tuple(arms.values()), problems=problems, samples=(), finished=finished
    )


def summarize_left_out(combined: Run, runs: Mapping[str, Run]) -> dict[str, Any]:
    """What summary.json holds over all of them: `left_out` is the mean Dice by site and method."""
    judged = combined.judgement
    means = {
        site: {one.method: mean_at(one.dice_at(site)) for one in judged.methods} for site in runs
    }
    values = {key: value for key, value in judged.as_json().items() if key != "forgetting"}
    return {
        "name": combined.study.name,
        "synthetic": combined.synthetic,
        "left_out": means,
        **values,
    }


def mean_at(dices: list[float]) -> float | None:
    """Their mean; None of none."""
    return sum(dices) / len(dices) if dices else None

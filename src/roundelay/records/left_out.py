"""Runs in which every hospital was left out in turn, taken together."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundelay.records.contents import ArmRun, Run, read_run
from roundelay.records.layout import RECORD, study_of


def read_left_out(out: Path) -> dict[str, Run]:
    """The runs of a folder in which every hospital was left out in turn, as far as they have begun,
    by that hospital, in the order of the sites; empty where it is no such folder.

    Raises RunFolderError where one of them can't be read.
    """
    if not out.is_dir() or (out / RECORD).exists():
        return {}
    places = [place for place in sorted(out.iterdir()) if (place / RECORD).exists()]
    by_site = {study_of(place).evaluation.leave_out: place for place in places}
    if None in by_site or len(by_site) < len(places):
        return {}
    runs = {str(site): read_run(place) for site, place in by_site.items()}
    return {site: runs[site] for site in left_out_sites(runs) if site in runs}


def left_out_sites(runs: Mapping[str, Run]) -> list[str]:
    """All sites that are to be left out in turn, in the order in which they are given."""
    return [site["site"] for run in list(runs.values())[:1] for site in run.record["sites"]]


def still_to_come(runs: Mapping[str, Run]) -> list[str]:
    """The sites whose run isn't finished, or hasn't begun."""
    return [site for site in left_out_sites(runs) if site not in runs or not runs[site].finished]


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
    finished = not still_to_come(runs)
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

"""Folds taken together, by hand: every patient once, seeds as whole cross-validations."""

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from statistics import fmean, median, stdev

import pytest

from fakes import scored, write_run
from roundelay.cli import results
from roundelay.errors import RunFolderError
from roundelay.evaluation.intervals import mean_interval, median_interval
from roundelay.records.folds import fold_folder, read_folds, study_of_folds, write_folds
from roundelay.records.result_checks import differences_in_summary
from roundelay.report.folds import lay_folds
from roundelay.report.page import render, write_reports
from surveys import study, survey

PLAN = study(
    top={"arms": ("cwt", "local"), "seeds": (0, 1, 2)},
    data={"folds": 2},
    recipe={"rounds": 1, "epochs": 1},
)
FOLD = {"N1": 1, "N2": 2, "N3": 1, "N4": 2, "N5": 1, "E1": 1, "E2": 2, "O1": 2}
"""Patients of NORTH, EAST and ONE; O1 is alone at ONE, so in fold 2 nobody trains there."""
SITES = {"N": "NORTH", "E": "EAST", "O": "ONE"}
DICE = {p: 0.3 + 0.08 * n for n, p in enumerate(FOLD)}
SEED = (0.0, 0.05, -0.02)


def dice(patient, arm):
    return DICE[patient] + SEED[arm.seed] - 0.1 * (arm.name == "local")


def surveys(fold):
    tests = {SITES[p[0]]: 0 for p in FOLD}
    for patient, own in FOLD.items():
        tests[SITES[patient[0]]] += own == fold
    counts = {site: sum(SITES[p[0]] == site for p in FOLD) for site in tests}
    return {
        site: replace(
            survey(site, 10 * (counts[site] - n)),
            patients={"train": counts[site] - n, "validation": 0, "test": n},
        )
        for site, n in tests.items()
    }


def scores_of(fold):
    def found(arm):
        own = [scored(p, SITES[p[0]], 0.5) for p, k in FOLD.items() if k == fold]
        return [replace(score, dice=dice(score.patient, arm)) for score in own]

    return found


@pytest.fixture(scope="module")
def out(module_path, few_resamples):
    for fold in (1, 2):
        write_run(
            fold_folder(module_path, fold), PLAN.of_fold(fold), {}, sites=surveys(fold),
            scores_of=scores_of(fold),
        )  # fmt: skip
    return module_path


@pytest.fixture(scope="module")
def found(out):
    return read_folds(out, PLAN, verified=False)


def test_means_medians_and_spread_are_over_all_patients(found):
    cwt, local = found.methods

    means = [d + fmean(SEED) for d in DICE.values()]
    assert (cwt.patients, cwt.method) == (8, "cwt")
    assert cwt.dice.mean == pytest.approx(fmean(means))
    assert cwt.dice.median == pytest.approx(median(means))
    assert cwt.single_seeds == pytest.approx([fmean(DICE.values()) + one for one in SEED])
    assert cwt.spread == pytest.approx(stdev(SEED))
    first = [m for m, fold in zip(means, FOLD.values(), strict=True) if fold == 1]
    assert cwt.folds[1] == (4, pytest.approx(fmean(first)))
    assert {site: n for site, (n, _) in cwt.sites.items()} == {"NORTH": 5, "EAST": 2, "ONE": 1}
    assert local.patients == 7 and "ONE" not in local.sites


def test_intervals_are_those_over_seeds_and_patients_of_one_table(found):
    table = [[d + one for d in DICE.values()] for one in SEED]

    (cwt, _) = found.methods

    assert cwt.dice.mean_interval == mean_interval(table, 0)
    assert cwt.dice.median_interval == median_interval(table, 0)
    assert cwt.dice.mean_interval.over == "seeds and patients"


def test_arms_are_paired_by_patient_over_all_folds(found):
    (comparison,) = found.combined.judgement.comparisons

    assert (comparison.patients, comparison.seeds) == (7, 3)
    assert comparison.difference == pytest.approx(0.1)
    assert (comparison.better, comparison.worse) == (7, 0)


def test_a_summary_as_earlier_versions_judged_is_no_fault_and_an_altered_one_is(found, tmp_path):
    judgement, path = found.combined.judgement, tmp_path / "summary.json"
    earlier = {**found.as_json(), "comparisons": judgement.before_pairs().as_json()["comparisons"]}

    for written in (found.as_json(), earlier):
        path.write_text(json.dumps(written))
        assert not differences_in_summary(path, found.as_json(), judgement, pairs=False)

    assert earlier["comparisons"] != found.as_json()["comparisons"]
    assert differences_in_summary(path, found.as_json(), judgement, pairs=True)
    earlier["comparisons"][0]["interval"]["low"] += 0.01
    path.write_text(json.dumps(earlier))
    assert differences_in_summary(path, found.as_json(), judgement, pairs=False)


def test_the_page_and_the_terminal_say_who_has_no_score_and_what_is_to_come(out, found, capsys):
    page = unescape(render(lay_folds(found)))
    assert "local has scores of 7 of the 8 patients" in page
    assert "by models that had not trained on them (3 seeds)" in page
    assert "fold 2" in page and "Still running" not in page

    results.folds(found.as_json(), 2)
    told = capsys.readouterr().out
    assert "in one of 2 folds" in told and "cwt" in told

    half = replace(found, runs={1: found.runs[1]})
    page = unescape(render(lay_folds(half)))
    assert "To come: fold 2." in page and "1 of 2 folds so far" in page
    assert half.to_come == (2,) and half.methods[0].patients == 4
    nothing = render(lay_folds(replace(found, runs={})))
    assert "No fold is finished yet." in nothing
    assert study_of_folds(out).digest == PLAN.digest
    assert study_of_folds(fold_folder(out, 1)) is None


def test_two_cross_validations_stand_side_by_side_over_all_their_patients(out, tmp_path):
    for name in ("ONE", "OTHER"):
        shutil.copytree(out, tmp_path / name)

    both = [tmp_path / "ONE", tmp_path / "OTHER"]
    page = unescape(write_reports(both, tmp_path / "BOTH").read_text())

    assert "cwt of ONE less cwt of OTHER: 0.000 Dice" in page and "8 patients" in page
    assert "cwt of ONE less local of OTHER: +0.100 Dice" in page
    rows = re.findall(r"<tr>.*?</tr>", page, flags=re.DOTALL)
    assert len([row for row in rows if "OTHER" in row]) == 2
    shutil.rmtree(tmp_path / "OTHER" / "fold-1")
    (tmp_path / "OTHER" / "fold-2").rename(tmp_path / "OTHER" / "fold-1")
    with pytest.raises(RunFolderError, match="different cohorts or splits"):
        write_reports(both, tmp_path / "NEVER")
    assert not (tmp_path / "NEVER").exists()


def test_a_row_a_patient_arm_and_seed_names_the_fold(out, found):
    write_folds(found)

    columns, rows = found.rows()
    assert columns[0] == "fold"
    own = [dict(zip(columns, row, strict=True)) for row in rows]
    assert {row["patient"]: row["fold"] for row in own if row["arm"] == "cwt"} == FOLD
    assert len([row for row in own if row["arm"] == "cwt"]) == 3 * 8
    assert (out / "patients.csv").read_text().startswith("fold,arm,seed")

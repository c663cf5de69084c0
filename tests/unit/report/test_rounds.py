"""The page says whether more rounds may help, and what a choice by the worst hospital costs."""

from dataclasses import replace

import pytest

from roundelay.evaluation.forgetting import Validation
from roundelay.records.contents import read_run
from roundelay.report.page import lay_page
from roundelay.report.rounds import choice_section, progress_blocks
from toy_runs import PLAN

pytestmark = pytest.mark.usefixtures("few_resamples")


def row(leg, number, *dice):
    sites = ("NORTH", "EAST", "SOUTH")
    return Validation(leg, number, (), dict(zip(sites, dice, strict=True)), dict.fromkeys(sites, 2))


def changed(run, validations, **evaluation):
    settings = run.study.evaluation.model_copy(update=evaluation)
    study = run.study.model_copy(update={"evaluation": settings})
    return replace(run, study=study, arms=(replace(run.arms[0], validations=validations),))


@pytest.fixture(scope="module")
def run(toy_run):
    return read_run(toy_run)


FALLING = (row(2, 1, 0.9, 0.4, 0.5), row(5, 2, 0.6, 0.5, 0.5))
"""The first round is best by the mean (0.6), the second by the worst hospital."""


def test_a_last_round_that_is_the_best_says_that_more_may_help(run):
    table, text = progress_blocks(run)

    assert [cell.text for cell in table.rows[0]][:2] == ["cwt-0", "2"]
    assert "The last round is the best of 2 of 2 models" in text.text
    assert "roundelay run RUN --more-rounds 5" in text.text
    assert text.text.endswith("All of this rests on 6 validation patients.")


def test_a_best_round_before_the_last_says_that_more_hardly_would(run):
    table, text = progress_blocks(changed(run, FALLING))

    assert [cell.text for cell in table.rows[0]] == ["cwt-0", "2", "0.600", "1", "0.533", "−0.067"]
    assert "more rounds of the same would hardly help" in text.text


def test_a_choice_by_the_worst_hospital_says_what_it_cost_the_others(run):
    items, table, _ = choice_section(changed(run, FALLING, choose="worst-site")).blocks

    assert items.rows == [
        "cwt-0: choosing round 2 by the worst hospital, and not round 1 by the mean, changed each"
        " hospital's validation Dice by NORTH −0.300, EAST +0.100, SOUTH 0.000 (mean −0.067)."
    ]
    assert [[cell.text for cell in cells][1:] for cells in table.rows] == [
        ["last", "2", "0.533", "EAST 0.500"],
        ["best", "1", "0.600", "EAST 0.400"],
        ["worst-site (taken)", "2", "0.533", "EAST 0.500"],
    ]
    same = changed(run, FALLING[:1] * 1 + (row(5, 2, 0.9, 0.5, 0.5),), choose="worst-site")
    assert "cost nobody anything" in choice_section(same).blocks[0].rows[0]


def test_where_no_round_can_be_taken_nothing_is_set_side_by_side(run):
    recipe = PLAN.recipe.model_copy(update={"recalibrate_batchnorm": True})
    study = run.study.model_copy(update={"recipe": recipe})

    assert not choice_section(replace(run, study=study)).blocks


def test_of_very_many_hospitals_the_largest_changes_are_named(run):
    sites = [f"S{i:02}" for i in range(40)]
    before, after = ({s: v for s in sites} for v in (0.6, 0.5))
    before["S00"], after["S00"] = 0.1, 0.4
    rows = tuple(
        Validation(leg, leg, (), dice, dict.fromkeys(sites, 2))
        for leg, dice in ((1, before), (2, after))
    )

    (said,) = choice_section(changed(run, rows, choose="worst-site")).blocks[0].rows

    assert "by S01 −0.100 to S00 +0.300, less at 39 of 40 hospitals (mean −0.090)" in said


def test_a_page_is_drawn_where_hospitals_keep_all_scores_of_their_validation(run):
    kept = tuple(replace(one, dice={}, patients={}) for one in FALLING)
    followed = changed(run, kept, follow="round", choose="last")

    assert lay_page(followed).sections and progress_blocks(followed) == []


def test_what_is_not_followed_says_how_to_follow_it(run):
    quiet = changed(run, (), choose="last")

    (text,) = progress_blocks(quiet)

    assert 'follow = "round"' in text.text
    titles = [section.title for section in lay_page(run).sections]
    assert "Which round's model is taken" in titles

"""Which hand-overs are followed, what a kill leaves out is made up for, and which round is best."""

import json

import pytest

from fakes import START, Footprints, toy_ledger
from roundelay.errors import StudyError
from roundelay.plan.arms import lay
from roundelay.records.arm import read_validations
from roundelay.relay.baton import Baton
from roundelay.relay.loop import relay
from roundelay.running.validation import ValidationMatrix
from surveys import study, surveys
from toy_runs import run_toy

SITES = ("NORTH", "EAST")
AFTER = (1.0, 11.0, 111.0, 112.0, 122.0, 222.0)
"""The model after each of the six hand-overs of two rounds: sites add 1, 10 and 100."""


class PowerLostError(Exception):
    """The machine lost its power."""


def plan(top=None, recipe=None, **evaluation):
    return study(
        top=top or {}, recipe={"rounds": 2, "epochs": 1, **(recipe or {})}, evaluation=evaluation
    )


def go(place, settings, courier=None, sites=SITES, stop_at=None):
    """Run or go on with an arm as a run does; killed before the row of hand-over `stop_at`."""
    arm, courier = lay(settings, surveys())[0], courier or Footprints()
    ledger = toy_ledger(place, arm)
    matrix = ValidationMatrix(place, arm, settings.evaluation, courier, sites)
    matrix.catch_up(arm, ledger)

    def after_leg(number, leg, baton):
        if number == stop_at:
            raise PowerLostError
        matrix.after_leg(number, leg, baton)

    relay(START, arm, courier, ledger, after_leg)
    return matrix


@pytest.mark.parametrize(
    ("evaluation", "followed"),
    [
        ({}, []),
        ({"follow": "round"}, [2, 5]),
        ({"follow": "visit"}, [0, 1, 2, 3, 4, 5]),
        ({"choose": "best"}, [2, 5]),
        ({"choose": "worst-site", "follow": "visit"}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_hand_overs_that_the_study_follows_are_validated_and_no_others(
    tmp_path, evaluation, followed
):
    courier = Footprints()

    matrix = go(tmp_path, plan(**evaluation), courier)

    assert [row.leg for row in matrix.rows] == followed
    assert courier.evaluated == [(AFTER[leg], SITES, "validation") for leg in followed]
    assert read_validations(tmp_path) == matrix.rows


def test_a_row_says_who_trained_and_what_the_model_scores_at_each_site(tmp_path):
    courier = Footprints(lambda weight, site: 0.3 if site == "EAST" else 0.6)

    rows = go(tmp_path, plan(follow="visit"), courier).rows

    assert [row.visited for row in rows] == [("NORTH",), ("EAST",), ("SOUTH",)] * 2
    assert [row.round for row in rows] == [1, 1, 1, 2, 2, 2]
    assert {(row.patients["NORTH"], row.patients["EAST"]) for row in rows} == {(2, 2)}
    for row in rows:
        assert row.dice == pytest.approx({"NORTH": 0.6, "EAST": 0.3}, abs=0.01)


def test_side_by_side_all_sites_of_the_round_trained_and_in_a_recalibration_none(tmp_path):
    settings = plan(
        top={"arms": ("fedavg",)}, recipe={"recalibrate_batchnorm": True}, follow="visit"
    )

    rows = go(tmp_path, settings).rows

    assert [row.visited for row in rows] == [("NORTH", "EAST", "SOUTH")] * 2 + [()]


def test_a_site_that_was_skipped_did_not_train(tmp_path):
    settings = plan(follow="visit")
    arm = lay(settings, surveys())[0]
    matrix = ValidationMatrix(tmp_path, arm, settings.evaluation, Footprints(), SITES)
    proof = {"statement": {"sealed": ""}, "absent": [{"statement": {"leg": 1}}]}

    for leg in arm.legs[:2]:
        matrix.after_leg(leg.index, leg, Baton(START.data, proof))

    assert [row.visited for row in matrix.rows] == [("NORTH",), ()]


def test_where_no_site_has_validation_patients_nobody_is_asked(tmp_path):
    courier = Footprints()

    assert go(tmp_path, plan(follow="visit"), courier, sites=()).rows == []
    assert courier.evaluated == [] and not (tmp_path / "validation.json").exists()


@pytest.mark.parametrize("follow", ["round", "visit"])
@pytest.mark.parametrize("stop_at", range(6))
def test_a_kill_between_ledger_line_and_row_leaves_the_same_matrix(tmp_path, follow, stop_at):
    settings = plan(follow=follow)
    whole = go(tmp_path / "whole", settings)

    with pytest.raises(PowerLostError):
        go(tmp_path / "cut", settings, stop_at=stop_at)
    courier = Footprints()
    again = go(tmp_path / "cut", settings, courier)

    assert again.rows == whole.rows
    read = [(tmp_path / name / "validation.json").read_bytes() for name in ("whole", "cut")]
    assert read[0] == read[1]
    kept = sum(row.leg < stop_at for row in whole.rows)
    assert len(courier.evaluated) == len(whole.rows) - kept  # what stood was not asked for again


def test_a_row_that_stands_is_not_made_again(tmp_path):
    settings = plan(follow="visit")
    go(tmp_path, settings)
    courier = Footprints(lambda weight, site: 0.2)

    rows = go(tmp_path, settings, courier).rows

    assert courier.evaluated == []
    assert rows[0].dice["NORTH"] == pytest.approx(0.5, abs=0.01)


def chosen(tmp_path, choose, north, east, follow="none"):
    """The leg that is chosen where the sites score so after each of six hand-overs."""
    dice = {
        (weight, site): values[leg]
        for leg, weight in enumerate(AFTER)
        for site, values in (("NORTH", north), ("EAST", east))
    }
    courier = Footprints(lambda weight, site: dice[weight, site])
    settings = plan(choose=choose, follow=follow)
    matrix = go(tmp_path, settings, courier)
    return matrix.best_leg(lay(settings, surveys())[0], choose)


def ends(first, second):
    return (0.9, 0.9, first, 0.9, 0.9, second)


@pytest.mark.parametrize(
    ("choose", "north", "east", "leg"),
    [
        ("best", (0.4, 0.6), (0.4, 0.4), 5),
        ("best", (0.6, 0.4), (0.4, 0.4), 2),
        ("best", (0.8, 0.5), (0.2, 0.4), 2),  # means 0.5 and 0.45
        ("worst-site", (0.8, 0.5), (0.2, 0.4), 5),  # least 0.2 and 0.4
        ("best", (0.5, 0.5), (0.3, 0.3), 2),  # of equals, the earlier
        ("worst-site", (0.3, 0.9), (0.6, 0.3), 2),
    ],
)
@pytest.mark.parametrize("follow", ["none", "visit"])
def test_the_best_round_is_chosen_of_equals_the_first_and_never_a_visit_within_one(
    tmp_path, choose, north, east, leg, follow
):
    assert chosen(tmp_path, choose, ends(*north), ends(*east), follow) == leg


def of_a_table():
    return study(
        top={"arms": ("cwt",)},
        data={"sites": "table:t.csv", "split": {"validation": 0.0, "test": 0.2}},
        recipe={"rounds": 2, "epochs": 1, "precision": "float32"},
        evaluation={"choose": "best", "follow": "round"},
        courier={"threads": 1},
    )


def test_patients_that_a_table_gives_validate_though_the_share_is_zero(tmp_path, few_resamples):
    run_toy(tmp_path / "RUN", of_a_table())

    rows = json.loads((tmp_path / "RUN" / "arms" / "cwt-0" / "validation.json").read_text())
    assert [row["round"] for row in rows] == [1, 2]


def test_where_the_table_gives_none_that_is_said(tmp_path):
    with pytest.raises(StudyError, match="or the table gives none"):
        run_toy(tmp_path / "RUN", of_a_table(), courier=Footprints)

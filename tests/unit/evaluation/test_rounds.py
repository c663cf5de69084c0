"""What validation after each round shows, against tables by hand."""

import pytest

from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.rounds import by_rule, changes, progress, worst_site


def row(leg, number, **dice):
    return Validation(leg, number, (), dice, dict.fromkeys(dice, 2))


FALLING = [
    row(2, 1, NORTH=0.5, EAST=0.3),
    row(5, 2, NORTH=0.9, EAST=0.4),  # best mean: 0.65
    row(8, 3, NORTH=0.6, EAST=0.5),  # best worst hospital: 0.5
    row(11, 4, NORTH=0.7, EAST=0.2),
]


def test_the_best_round_so_far_stands_beside_the_last_one():
    found = progress(FALLING)

    assert (found.rounds, found.best_round) == (4, 2)
    assert (found.best, found.last, found.gain) == pytest.approx((0.65, 0.45, -0.2))
    rising = progress(FALLING[:2])
    assert (rising.best_round, rising.gain) == (2, pytest.approx(0.25))


def test_of_a_round_the_last_hand_over_counts():
    by_visit = [row(0, 1, NORTH=0.9), row(1, 1, NORTH=0.1), row(2, 2, NORTH=0.2)]

    assert progress(by_visit).best == 0.2
    assert progress(by_visit[:2]) is None and by_rule(by_visit[:2]) == {}


def test_each_rule_takes_its_round_and_costs_what_it_costs():
    found = by_rule(FALLING)

    assert {rule: one.round for rule, one in found.items()} == {
        "last": 4, "best": 2, "worst-site": 3,
    }  # fmt: skip
    assert worst_site(found["worst-site"]) == ("EAST", 0.5)
    assert changes(found["worst-site"], found["best"]) == pytest.approx(
        {"NORTH": -0.3, "EAST": 0.1}
    )


def test_a_round_of_which_no_hospital_gives_scores_is_passed_over():
    rows = [row(0, 1), row(1, 2, NORTH=0.5), row(2, 3, NORTH=0.4, EAST=0.2)]

    assert progress(rows).rounds == 2 and progress(rows[:2]) is None
    assert changes(rows[2], rows[1]) == pytest.approx({"NORTH": -0.1})


def test_of_equal_rounds_the_earliest_is_taken():
    rows = [row(0, 1, NORTH=0.5), row(1, 2, NORTH=0.5)]

    assert progress(rows).best_round == 1 and progress(rows).gain == 0
    assert by_rule(rows)["best"].round == 1

"""Who hands a baton over to whom, and who may open it, leg by leg."""

import pytest

from roundelay.errors import RefusedError
from roundelay.network.wire.handover import holder, recipients
from roundelay.network.wire.proposal import propose
from roundelay.plan.arms import lay
from surveys import SIZES, study, surveys

SITES = ("EAST", "NORTH", "SOUTH")


def proposed(top=None, recipe=None, evaluation=None, **courier):
    plan = study(
        top=top or {}, recipe={"rounds": 2, "epochs": 1, **(recipe or {})},
        evaluation=evaluation or {}, courier=courier,
    )  # fmt: skip
    roster = {name: {"sign": "00", "seal": "00"} for name in ("coordinator", *SIZES)}
    return propose(plan, roster), lay(plan, surveys())[0].legs


def test_a_baton_comes_from_the_site_of_the_leg_before_and_first_from_the_coordinator():
    proposal, legs = proposed()

    found = [holder(proposal, legs, leg, leg - 1) for leg in range(6)]

    assert found == ["coordinator", "NORTH", "EAST", "SOUTH", "NORTH", "EAST"]


@pytest.mark.parametrize(
    ("absent", "leg", "before"),
    [
        ("wait", 3, 1), ("wait", 3, 3), ("wait", 3, 4), ("wait", 1, -1), ("wait", 0, -2),
        ("wait", 3, 6), ("skip", 3, 3), ("skip", 3, 4), ("defer", 3, 3), ("defer", 1, 4),
        ("defer", 4, -1),
    ],
)  # fmt: skip
def test_a_baton_out_of_turn_is_refused(absent, leg, before):
    proposal, legs = proposed(absent=absent)

    with pytest.raises(RefusedError, match=f"out of turn, to leg {leg + 1}"):
        holder(proposal, legs, leg, before)


@pytest.mark.parametrize(
    ("absent", "leg", "before", "who"),
    [("skip", 3, 1, "EAST"), ("skip", 2, -1, "coordinator"), ("defer", 3, 0, "NORTH"),
     ("defer", 0, 2, "SOUTH"), ("defer", 3, 5, "SOUTH")],
)  # fmt: skip
def test_where_sites_may_be_away_a_baton_may_pass_them_over(absent, leg, before, who):
    proposal, legs = proposed(absent=absent)

    assert holder(proposal, legs, leg, before) == who


def test_a_merged_baton_comes_from_the_coordinator_and_never_sealed():
    top, recipe = {"arms": ("fedavg",)}, {"optimiser_state": "reset"}
    proposal, legs = proposed(top, recipe, seal="none")
    assert holder(proposal, legs, 1, 0) == "coordinator"

    proposal, legs = proposed(top, recipe, seal="sites")
    with pytest.raises(RefusedError, match="Merged batons"):
        holder(proposal, legs, 1, 0)


@pytest.mark.parametrize(
    ("evaluation", "all_may"),
    [({}, {5}), ({"follow": "round"}, {2, 5}), ({"choose": "best"}, {2, 5}),
     ({"follow": "visit"}, {0, 1, 2, 3, 4, 5})],
)  # fmt: skip
def test_only_the_next_site_may_open_a_baton_but_where_all_judge_it(evaluation, all_may):
    proposal, legs = proposed(evaluation=evaluation)
    following = ["EAST", "SOUTH", "NORTH", "EAST", "SOUTH", None]

    for leg in range(6):
        expected = SITES if leg in all_may else (following[leg],)
        assert recipients(proposal, legs, leg) == expected


def test_the_owner_may_open_it_only_where_the_study_says_so():
    for seal, owner in (("sites", False), ("owner", True)):
        proposal, legs = proposed(seal=seal)
        assert ["coordinator" in recipients(proposal, legs, leg) for leg in range(6)] == [owner] * 6


def test_where_it_is_open_who_is_next_all_sites_may_open_it():
    proposal, legs = proposed(absent="defer")

    assert {recipients(proposal, legs, leg) for leg in range(6)} == {SITES}

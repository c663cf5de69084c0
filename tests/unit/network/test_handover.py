"""Who hands a baton over to whom, and who may open it, leg by leg."""

from dataclasses import replace
from pathlib import Path

import pytest

from roundelay.errors import LedgerError, RefusedError
from roundelay.network.hospital.approval_screen import in_sentences
from roundelay.network.hospital.consent import Waiting
from roundelay.network.hospital.policy import Policy
from roundelay.network.wire.handover import holder, recipients, scored_holder
from roundelay.network.wire.proposal import propose
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import IN_TURN, open_legs
from roundelay.records.arm_checks import check_visits
from roundelay.relay.chain import Chain
from roundelay.report.sentences import told_by_sums
from surveys import SIZES, study, surveys

SITES = ("EAST", "NORTH", "SOUTH")


def proposed(top=None, recipe=None, evaluation=None, **courier):
    plan = study(
        top=top or {}, recipe={"rounds": 2, "epochs": 1, **(recipe or {})},
        evaluation=evaluation or {}, courier=courier,
    )  # fmt: skip
    roster = {name: {"sign": "00", "seal": "00"} for name in ("coordinator", *SIZES)}
    proposal = propose(plan, roster)
    return proposal, lay(plan, surveys(), sealed=proposal.sealed)[0].legs


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


RECALIBRATED = {"recalibrate_batchnorm": True}


@pytest.mark.parametrize("absent", ["wait", "defer", "skip"])
def test_sums_go_to_the_next_site_alone_and_the_last_model_to_all(absent):
    proposal, legs = proposed(recipe=RECALIBRATED, absent=absent, seal="sites")

    assert [leg.task for leg in legs] == ["train"] * 6 + [IN_TURN] * 3
    assert [legs[i].stops[0].site for i in (6, 7, 8)] == ["NORTH", "EAST", "SOUTH"]
    found = [recipients(proposal, legs, leg) for leg in (6, 7, 8)]
    assert found == [("EAST",), ("SOUTH",), SITES]


@pytest.mark.parametrize("follow", ["none", "round", "visit"])
def test_also_where_models_are_followed_no_other_site_opens_sums(follow):
    proposal, legs = proposed(recipe=RECALIBRATED, evaluation={"follow": follow})

    found = [recipients(proposal, legs, leg) for leg in (6, 7, 8)]

    assert found == [("EAST",), ("SOUTH",), SITES]


@pytest.mark.parametrize("absent", ["wait", "defer", "skip"])
def test_no_site_is_passed_over_in_a_recalibration_in_turn(absent):
    proposal, legs = proposed(recipe=RECALIBRATED, absent=absent)

    assert [holder(proposal, legs, leg, leg - 1) for leg in (6, 7, 8)] == ["SOUTH", "NORTH", "EAST"]
    for leg, before in ((7, 5), (8, 6), (8, 5), (8, 0), (6, 7), (7, 8)):
        with pytest.raises(RefusedError, match=f"out of turn, to leg {leg + 1}"):
            holder(proposal, legs, leg, before)
    assert scored_holder(proposal, legs, 8, 8) == "SOUTH"
    for before in (7, 6, 5, -1):
        with pytest.raises(RefusedError, match="can't be scored as that of leg 9"):
            scored_holder(proposal, legs, 8, before)
    assert [open_legs(legs, range(done)) for done in (6, 7, 8, 9)] == [
        (legs[6],), (legs[7],), (legs[8],), ()
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("absent", "befores"), [("wait", [5]), ("defer", [3, 4, 5]), ("skip", list(range(-1, 6)))]
)
def test_the_first_site_that_recalibrates_takes_what_training_came_to(absent, befores):
    """Where visits may be skipped, it may be any; where they are put off, one of the last round."""
    proposal, legs = proposed(recipe=RECALIBRATED, absent=absent)

    def taken(before):
        try:
            return bool(holder(proposal, legs, 6, before))
        except RefusedError:
            return False

    assert [before for before in range(-1, 6) if taken(before)] == befores


def stated(stop, **changed):
    """A receipt's part that is compared with the plan."""
    keys = ("index", "site", "round", "task", "slice_count", "slice_visits", "steps")
    names = ("stop", *keys[1:4], "slices", *keys[5:])
    return {n: getattr(stop, k) for n, k in zip(names, keys, strict=True)} | changed


def test_no_ledger_may_say_that_a_site_was_passed_over_in_a_recalibration_in_turn():
    _, legs = proposed(recipe=RECALIBRATED, absent="skip")
    skipped = {"task": "absent", "slices": 0, "slice_visits": 0, "steps": 0}

    def said(away=-1):
        receipts = [stated(g.stops[0], **skipped if g.index == away else {}) for g in legs]
        lines = [{}, *({"leg": i, "receipts": [r]} for i, r in enumerate(receipts))]
        check_visits(Path("ledger.jsonl"), Chain(lines, None, ""), legs)

    said()
    said(away=5)
    for away in (6, 7, 8):
        with pytest.raises(LedgerError, match=f"leg {away + 1}: the visits are not those"):
            said(away)


@pytest.mark.parametrize("seal", ["sites", "owner", "none"])
def test_who_learns_of_sums_is_said_before_and_after_a_run(seal):
    proposal, _ = proposed(recipe=RECALIBRATED, seal=seal)
    roster = {n: {"sign": f"{i:064x}", "seal": f"{i:064x}"} for i, n in enumerate(proposal.roster)}
    proposal = replace(proposal, roster=roster)

    before = " ".join(in_sentences(Waiting(proposal, "r1"), surveys()["EAST"], Policy()))
    after = " ".join(told_by_sums(proposal.study.recipe, seal))

    assert "recalibrates BatchNorm in 1 visit" in before
    assert ("of the first one alone" in before) == (seal != "none")
    assert ("the first one's alone" in after) == (seal != "none")
    assert ("coordinator of this run can open them" in after) == (seal == "owner")
    assert not told_by_sums(proposed()[0].study.recipe, seal)

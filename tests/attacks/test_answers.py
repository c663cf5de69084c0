"""What a coordinator refuses of a hospital's answers, and what it doesn't listen to."""

import json
import math
from dataclasses import replace

import pytest

from roundelay.data.survey import SiteSurvey
from roundelay.errors import RefusedError
from roundelay.network.coordinator.exchange import raise_complaint
from roundelay.network.coordinator.surveys import signed_surveys
from roundelay.network.coordinator.visits import taken_visit
from roundelay.network.wire.messages import Message, pack, unpack
from roundelay.network.wire.replies import (
    ScoresReply,
    checked_scores,
    parsed_reply,
    progress_of,
)
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.network.wire.statements import sign_survey
from roundelay.plan.arms import lay
from roundelay.relay.baton import Baton
from roundelay.relay.receipt import Receipt


@pytest.fixture
def visited(west):
    """WEST's honest receipt, its stop, and how it would answer with another receipt or baton."""
    ledger = west.situation.out / "arms" / "swt-0" / "ledger.jsonl"
    line = json.loads(ledger.read_text().splitlines()[2])
    receipt = Receipt(**line["receipts"][0])
    surveys = {site: west.survey(site) for site in ("EAST", "WEST")}
    stop = lay(west.proposal.study, surveys)[0].legs[1].stops[0]
    keys = west.keys_of("WEST")

    def answered(receipt, data=None, by=keys, place=None):
        place = place or west.place(1)
        sent = hand_over(Baton(b"weights"), place, west.proposal, ["EAST"], "WEST", by, receipt)
        reply = pack({"proof": sent.proof, "site": "WEST"}, data or sent.data, by)
        sent = Baton(b"what it was sent")
        return taken_visit(unpack(reply), stop, surveys["WEST"], west.place(1), west.proposal, sent)

    return receipt, answered


def honest(receipt, **changed):
    """A receipt of the bytes that the tests hand over."""
    returned = Baton(b"weights").digest
    values = {name: getattr(receipt, name) for name in Receipt.__slots__}
    return Receipt(**{**values, "returned": returned, **changed})


def test_the_visit_that_was_planned_is_taken(visited):
    receipt, answered = visited
    assert answered(honest(receipt)).receipt.site == "WEST"


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"steps": 7}, "steps 7, not 1"),
        ({"slices": 1}, "slices 1, not 4"),
        ({"slice_visits": 400}, "slice_visits 400, not 2"),
        ({"patients": 99}, "patients 99, not 1"),
        ({"site": "EAST"}, "site EAST, not WEST"),
        ({"stop": 0}, "stop 0, not 1"),
        ({"round": 2}, "round 2, not 1"),
        ({"task": "recalibrate"}, "task recalibrate, not train"),
        ({"task": "absent"}, "task absent, not train"),
        ({"task": "everything"}, "proof.statement.receipt.task"),
        ({"steps": 10**16}, "proof.statement.receipt.steps"),
        ({"patients": -1}, "proof.statement.receipt.patients"),
        ({"seconds": -1.0}, "proof.statement.receipt.seconds"),
        ({"seconds": 1e300}, "proof.statement.receipt.seconds"),
        ({"machine": "\x1b[2J"}, "proof.statement.receipt.machine"),
        ({"machine": "x" * 1000}, "proof.statement.receipt.machine"),
        ({"received": "../../x"}, "proof.statement.receipt.received"),
        ({"returned": "0" * 64}, "another baton than its receipt states"),
        ({"loss": "none"}, "proof.statement.receipt.loss"),
        ({"loss": 1e300}, "proof.statement.receipt.loss"),
    ],
)
def test_a_receipt_of_another_visit_is_refused(visited, changed, word):
    receipt, answered = visited
    with pytest.raises(RefusedError, match="WEST") as caught:
        answered(honest(receipt, **changed))
    assert word in str(caught.value)


def test_other_bytes_than_were_signed_are_refused(visited):
    receipt, answered = visited
    with pytest.raises(RefusedError, match="other bytes than it signed"):
        answered(honest(receipt), data=b"others")


def test_a_visit_that_another_hospital_signed_is_refused(visited, west):
    receipt, answered = visited
    with pytest.raises(RefusedError, match="isn't signed by WEST"):
        answered(honest(receipt), by=west.keys_of("EAST"))


@pytest.mark.parametrize("change", [{"leg": 0}, {"run": "r2"}, {"arm": "cwt-0"}])
def test_a_visit_in_another_place_is_refused(visited, west, change):
    receipt, answered = visited
    with pytest.raises(RefusedError, match="belongs to another"):
        answered(honest(receipt), place={**west.place(1), **change})


def row(west, **changed):
    """WEST's own row of scores, altered."""
    head = west.situation.asked["evaluate validation"].head
    own = {key: value for key, value in head.items() if key != "payload"}
    payload = west.situation.asked["evaluate validation"].payload
    return {**west.reply(own, payload)["scores"][0], **changed}


def taken_scores(rows, west, patients=1):
    reply = parsed_reply(ScoresReply, {"site": "WEST", "scores": rows}, "WEST")
    own = west.survey("WEST")
    several = {
        "patients": {**own.patients, "validation": patients},
        "slices": {**own.slices, "validation": patients * own.slices["validation"]},
    }
    return checked_scores(reply, "WEST", "validation", replace(own, **several))


def test_scores_of_its_own_patients_are_taken(west):
    assert taken_scores([row(west)], west)[0].site == "WEST"
    assert taken_scores([], west) == ()
    second = {"patient": "WEST 2"}
    assert len(taken_scores([row(west, patient="WEST 1"), row(west, **second)], west, 2)) == 2
    both = {"patient": "2 of WEST", "patients": 2, "slices": 2 * row(west)["slices"]}
    assert taken_scores([row(west, **both)], west, 2)[0].patients == 2


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"site": "EAST", "patient": "1 of EAST"}, "another site or split"),
        ({"split": "test"}, "another site or split"),
        ({"split": "train"}, "split"),
        ({"patients": 2, "patient": "2 of WEST"}, "other patients than its 1"),
        ({"patients": 2}, "not named by its site"),
        ({"patient": "EAST 1"}, "not named by its site"),
        ({"patient": "=HYPERLINK(1)"}, "patient"),
        ({"patient": "WEST 01"}, "patient"),
        ({"slices": 5}, "other slices than its 4"),
        ({"reference_slices": 5}, "contradict"),
        ({"hd95_missing": 2}, "contradict"),
        ({"positive_slice_dice": None, "reference_slices": 2}, "contradict"),
        ({"positive_slice_dice": 0.5, "reference_slices": 0}, "contradict"),
        ({"patients": 0}, "patients"),
        ({"dice": 1.5}, "dice"),
        ({"dice": -0.1}, "dice"),
        ({"dice": math.nan}, "dice"),
        ({"dice": "0.99"}, "dice"),
        ({"hd95": math.inf}, "hd95"),
        ({"tp": 10**30}, "tp"),
        ({"fp": -1}, "fp"),
        ({"slices": 0}, "slices"),
        ({"unit": "inches"}, "unit"),
        ({"patient": "a\x1b[31m"}, "patient"),
        ({"patient": "x" * 1000}, "patient"),
        ({"attributes": {"age": "47"}}, "attributes"),
        ({"image": "…"}, "image"),
    ],
)
def test_a_row_of_scores_that_can_not_be_is_refused(west, changed, word):
    with pytest.raises(RefusedError, match="WEST") as caught:
        taken_scores([row(west, **changed)], west)
    assert word in str(caught.value)


def test_rows_of_more_or_fewer_patients_than_it_has_or_two_of_one_are_refused(west):
    """A hospital may keep all scores, not those of the patients that it would rather not show."""
    one, two = row(west, patient="WEST 1"), row(west, patient="WEST 2")
    for rows, patients in (([one, two], 1), ([one, two], 3), ([one], 2)):
        with pytest.raises(RefusedError, match=f"other patients than its {patients}"):
            taken_scores(rows, west, patients)
    with pytest.raises(RefusedError, match="two rows for one patient"):
        taken_scores([one, one], west, 2)


@pytest.mark.parametrize(
    "message",
    [
        {"step": 10**12, "loss": 0.1, "slices_per_second": 1.0},
        {"step": 31, "loss": 0.1, "slices_per_second": 1.0},
        {"step": -1, "loss": 0.1, "slices_per_second": 1.0},
        {"step": "3", "loss": 0.1, "slices_per_second": 1.0},
        {"step": 3.5, "loss": 0.1, "slices_per_second": 1.0},
        {"step": 3, "loss": "low", "slices_per_second": 1.0},
        {"step": 3, "loss": math.nan, "slices_per_second": 1.0},
        {"step": 3, "loss": 1e300, "slices_per_second": 1.0},
        {"step": 3, "loss": 0.1, "slices_per_second": math.inf},
        {"step": 3, "loss": 0.1},
        {},
    ],
)
def test_progress_that_can_not_be_is_not_listened_to(message):
    assert progress_of({"step": 3, "loss": 0.1, "slices_per_second": 1.0}, 30) is not None
    assert progress_of(message, 30) is None


def asked_once(reply, west, site="WEST"):
    """The surveys that a coordinator takes where this is the answer."""
    return signed_surveys(
        lambda sites: {site: reply}, [site], "r1", west.proposal, 0.0, lambda event: None
    )


def message(head, keys):
    return unpack(pack(head, b"", keys))


@pytest.mark.parametrize(
    "change",
    [
        {"patients": {"train": -1, "validation": 0, "test": 0}},
        {"patients": {"train": 10**12, "validation": 0, "test": 0}},
        {"patients": {"train": 0, "validation": 1, "test": 1}},
        {"patients": {"train": 1}},
        {"tumour_slices": {"train": 99, "validation": 0, "test": 0}},
        {"site": "EAST"},
        {"digest": "short"},
        {"notes": "seen by Dr. X"},
    ],
)
def test_numbers_that_can_not_be_are_refused(west, change):
    numbers, keys = west.survey("WEST").as_json(), west.keys_of("WEST")
    good = sign_survey(SiteSurvey(**numbers), "r1", west.proposal.digest, keys)
    assert "WEST" in asked_once(message({**good, "site": "WEST"}, keys), west)
    bad = {**good, "survey": {**numbers, **change}}
    with pytest.raises(RefusedError):
        asked_once(message({**bad, "site": "WEST"}, keys), west)


def test_what_a_hospital_writes_can_not_move_the_terminals_cursor():
    head = {"refused": "no\x1b[2J\x1b[1;1H\r\nAll is well" + "x" * 10_000}
    with pytest.raises(RefusedError) as caught:
        raise_complaint("WEST", Message(head, b"", "", b"", ""))
    assert "\x1b" not in str(caught.value) and "\r" not in str(caught.value)
    assert len(str(caught.value)) < 2500


def test_scores_by_a_region_that_the_study_has_not_are_refused(west):
    names = ("dice", "hd95", "hd95_missing", "reference_slices", "reference_volume", "tp", "fp")
    names += ("predicted_volume", "fn", "slice_dice", "slice_dice_of_empty_prediction")
    own = row(west)
    region = {name: own[name] for name in (*names, "positive_slice_dice")}

    with pytest.raises(RefusedError, match="other regions than the study's"):
        taken_scores([row(west, regions={"core": region})], west)

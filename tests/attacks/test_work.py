"""A hospital does what its approval says and nothing else, however a request is signed."""

import json
from dataclasses import replace

import pytest

from hospitals import Wire
from roundelay.errors import NetworkError
from roundelay.network.coordinator.courier import HospitalsCourier
from roundelay.network.hospital import itinerary
from roundelay.network.hospital.approval_screen import in_sentences
from roundelay.network.hospital.consent import MOST_WAITING, PENDING, waiting_study
from roundelay.network.hospital.patients import own_survey
from roundelay.network.hospital.policy import Policy
from roundelay.network.hospital.store import read_settings
from roundelay.network.wire.keys import fingerprint, own_keys
from roundelay.network.wire.proposal import MOST_VISITS
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.network.wire.statements import sign_survey
from roundelay.plan.arms import lay, most_visits
from roundelay.plan.itinerary import as_json
from roundelay.running.starting import start_baton
from surveys import study, surveys


def test_a_visit_on_one_slice_can_not_be_asked_for(west):
    """What once was enough: the itinerary of the request, with one slice and another arm."""
    head = west.head
    stop = {
        "arm": "extra", "seed": 0, "index": 0, "round": 1, "site": "WEST", "task": "train",
        "slices": [["WEST", 1]], "slice_visits": 400, "steps": 200, "first_step": 0,
        "total_steps": 200,
    }  # fmt: skip
    legs = [{"index": 0, "stops": [stop]}]
    west.refuses({**head, "legs": legs, "arm": "extra-0", "leg": 0}, "legs")
    west.refuses({**head, "arm": "extra-0", "leg": 0}, "no arm extra-0")


@pytest.mark.parametrize("steps", [7, 1_000])
def test_more_steps_than_were_approved_can_not_be_asked_for(west, steps):
    """A study with other steps is another study, and waits for approval."""
    head = west.head
    head["proposal"]["study"]["recipe"]["steps"] = steps
    assert "approval" in west.reply(head, west.asked.payload)["awaiting"]
    own = west.reply(west.head, west.asked.payload)["proof"]["statement"]["receipt"]
    assert (own["steps"], own["slices"], own["slice_visits"]) == (1, 4, 2)


def test_a_study_that_takes_long_to_lay_is_refused_before_it_is(west, monkeypatch):
    """Not even an approved owner makes a hospital lay a million visits for each request."""

    def laid(*_):
        raise AssertionError("it was laid")

    monkeypatch.setattr(itinerary, "lay", laid)
    (west.home / "policy.toml").write_text(
        f"[accept]\nowners = [{fingerprint(west.owner.public())!r}]\nruns = 9\n"
    )
    head = west.head
    head["proposal"]["study"]["recipe"]["rounds"] = MOST_VISITS // 2
    told = west.reply(head, west.asked.payload)["refused"]
    assert "aren't signed by" in told  # so many visits are looked at further
    head["proposal"]["study"]["seeds"] = [0, 1]

    west.refuses(head, "make 20,000 visits; between hospitals 10,000 at most")


def test_a_study_that_hospitals_would_refuse_as_too_long_is_not_sent(tmp_path):
    plan = study(recipe={"rounds": MOST_VISITS // 3 + 1, "steps": 1})

    with pytest.raises(NetworkError, match="between hospitals 10,000 at most"):
        HospitalsCourier(plan, Wire({}), ["A", "B", "C"], home=tmp_path, run="r", on_event=print)


def test_what_is_counted_is_what_is_laid():
    plan = study(
        top={"arms": ("cwt", "fedavg", "local", "pooled"), "seeds": (0, 1)},
        recipe={"rounds": 3, "compare_orders": ("shuffled",)},
    )
    stops = [stop for arm in lay(plan, surveys()) for leg in arm.legs for stop in leg.stops]

    assert most_visits(plan, 3) == len(stops) + 2 * 3 * 2  # pooled is counted as if by site


def test_a_forged_survey_is_refused(west):
    """A larger EAST would shift the work to WEST; only EAST itself can say so."""
    head = west.head
    head["surveys"]["EAST"]["survey"]["slices"]["train"] = 4000
    west.refuses(head, "numbers of EAST aren't signed by EAST")


def test_a_survey_that_somebody_else_signed_is_refused(west):
    head = west.head
    numbers = west.survey("EAST")
    for keys in (west.owner, west.keys_of("WEST")):
        head["surveys"]["EAST"] = sign_survey(numbers, "r1", west.proposal.digest, keys)
        west.refuses(head, "numbers of EAST aren't signed by EAST")


@pytest.mark.parametrize(("run", "proposal"), [("r2", None), ("r1", "0" * 64)])
def test_a_survey_of_another_run_or_study_is_refused(west, run, proposal):
    head, east = west.head, west.keys_of("EAST")
    head["surveys"]["EAST"] = sign_survey(
        west.survey("EAST"), run, proposal or west.proposal.digest, east
    )
    west.refuses(head, "for this run")


def test_a_survey_under_the_name_of_another_site_is_refused(west):
    head = west.head
    head["surveys"]["EAST"] = head["surveys"]["WEST"]
    west.refuses(head, "numbers of EAST aren't signed by EAST")


@pytest.mark.parametrize("change", ["missing", "added", "none"])
def test_the_numbers_of_just_the_sites_of_the_roster_must_come(west, change):
    head = west.head
    if change == "missing":
        del head["surveys"]["EAST"]
    elif change == "added":
        head["surveys"]["SOUTH"] = head["surveys"]["EAST"]
    else:
        head["surveys"] = {}
    west.refuses(head, "not those of the sites of the roster")


def test_the_numbers_can_not_change_within_a_run(west):
    """Not even where a site signs new ones: the itinerary of a run stays."""
    assert "proof" in west.reply(west.head, west.asked.payload)
    head, more = west.head, west.survey("EAST")
    more = replace(more, slices={**more.slices, "train": 9})
    head["surveys"]["EAST"] = sign_survey(more, "r1", west.proposal.digest, west.keys_of("EAST"))
    west.refuses(head, "others than at the first visit")


def test_numbers_of_which_the_last_holder_was_told_others_are_refused(west):
    """A site that helps signs its numbers twice: others here than for the hospital before."""
    head, more = west.head, west.survey("EAST")
    more = replace(more, slices={**more.slices, "train": 9})
    head["surveys"]["EAST"] = sign_survey(more, "r1", west.proposal.digest, west.keys_of("EAST"))
    west.refuses(head, "EAST was told other numbers of the hospitals")


def test_numbers_that_were_signed_of_other_images_are_refused(west):
    """The hospital's folder changed since: its visit would not be the one that was planned."""
    root = next(p for p in west.situation.net.place.glob("WEST-data/*") if p.is_dir())
    first, second = sorted(p for p in root.glob("*.tif") if not p.stem.endswith("_mask"))[:2]
    kept = first.read_bytes()
    assert kept != second.read_bytes()
    try:
        first.write_bytes(second.read_bytes())
        west.refuses(west.head, "images changed")
    finally:
        first.write_bytes(kept)


def test_a_second_run_of_an_approved_study_waits_for_approval_again(west):
    found = west.reply({**west.head, "run": "r2"}, west.asked.payload)
    assert "another run" in found["awaiting"]
    assert [p.name.partition("-")[2] for p in (west.home / PENDING).iterdir()] == ["r2.json"]


def test_the_policy_may_say_how_many_runs_one_approval_is_for(west):
    (west.home / "policy.toml").write_text("[accept]\nruns = 2\n[release]\nleast_scored = 1\n")
    head = west.situation.asked["survey"].head
    survey = {key: value for key, value in head.items() if key != "payload"}
    assert "survey" in west.reply({**survey, "run": "r2"}, b"")
    assert "another run" in west.reply({**survey, "run": "r3"}, b"")["awaiting"]
    assert "survey" in west.reply({**survey, "run": "r2"}, b"")


def test_a_study_that_nobody_approved_waits(west):
    for approved in (west.home / "approved").iterdir():
        approved.unlink()
    assert "site approve" in west.reply(west.head, west.asked.payload)["awaiting"]
    assert len(list((west.home / PENDING).iterdir())) == 1


def test_studies_that_nobody_approves_do_not_fill_the_disk(west):
    head = west.head
    for number in range(MOST_WAITING):
        assert "awaiting" in west.reply({**head, "run": f"x{number}"}, b"")
    west.refuses({**head, "run": "y"}, f"{MOST_WAITING} studies wait")


@pytest.mark.parametrize("key", ["seal", "roster", "study", "absent"])
def test_an_approval_is_for_one_study_one_seal_and_one_list_of_keys(west, key):
    head = west.head
    if key == "study":
        head["proposal"]["study"]["recipe"]["rounds"] = 9
    elif key == "roster":
        head["proposal"]["roster"]["EAST"] = own_keys(west.home / "others").public()
    else:
        head["proposal"][key] = {"seal": "owner", "absent": "defer"}[key]
    assert "awaiting" in west.reply(head, west.asked.payload)


def scores_request(west, split="validation"):
    """The request for WEST's scores after the run, as it was asked, and its baton."""
    message = west.situation.asked[f"evaluate {split}"]
    head = json.loads(json.dumps(message.head))
    del head["payload"]
    return head, message.payload


def test_scores_are_given_once_and_the_same_again(west):
    head, payload = scores_request(west)
    first = west.reply(head, payload)
    assert len(first["scores"]) == 1
    assert west.reply(head, payload)["scores"] == first["scores"]
    other = hand_over(
        start_baton(west.proposal.study, 5), west.place(1), west.proposal, ["WEST"], "WEST",
        west.keys_of("WEST"),
    )  # fmt: skip
    west.refuses({**head, "proof": other.proof}, "given for another model", other.data)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize(("leg", "word"), [(0, "not after leg 1"), (2, "has 2 legs")])
def test_scores_are_given_where_the_study_asks_for_them_and_nowhere_else(west, split, leg, word):
    head, payload = scores_request(west, split)
    west.refuses({**head, "leg": leg}, word, payload)


@pytest.mark.parametrize("split", ["train", "all", "", None, ["test"]])
def test_the_patients_who_train_are_not_for_scores(west, split):
    head, payload = scores_request(west)
    west.refuses({**head, "split": split}, "split", payload)


def test_a_model_of_the_coordinators_own_is_not_scored_in_a_sealed_study(west):
    head, _ = scores_request(west)
    start = start_baton(west.proposal.study, 5)
    for leg in (1, -1):
        own = hand_over(start, west.place(leg), west.proposal, ["WEST"], "coordinator", west.owner)
        found = west.reply({**head, "proof": own.proof}, own.data)
        assert "refused" in found, found


def test_the_screen_of_approval_counts_what_will_happen_here(west):
    """Held against the itinerary that the run really had."""
    waiting = {**west.head, "run": "r2"}
    west.reply(waiting, west.asked.payload)
    study = waiting_study(west.home, west.proposal.study.digest)
    settings = read_settings(west.home)
    survey = own_survey(settings, study.proposal.study)
    assert survey == west.survey("WEST")

    text = "\n".join(in_sentences(study, survey, Policy()))

    legs = lay(west.proposal.study, {s: west.survey(s) for s in ("EAST", "WEST")})[0].legs
    own = [s for leg in as_json(legs) for s in leg["stops"] if s["site"] == "WEST"]
    assert [s["steps"] for s in own] == [1]
    assert (
        "swt-0 trains in 1 visit: 1 step and 2 slice-visits in all, on 4 different slices." in text
    )
    assert "1 time on the validation patients, 1 time on the test patients" in text
    assert "none of 1 patient, fewer than 5" in text
    assert "WARNING: 1 training patient here" in text
    assert "This approves this one run" in text


def test_another_study_can_not_go_on_under_the_name_of_a_run(west):
    """Approved or not: what was noted of the run's visits is of one study."""
    assert "proof" in west.reply(west.head, west.asked.payload)
    (west.home / "policy.toml").write_text(
        f'[accept]\nowners = ["{fingerprint(west.owner.public())}"]\n'
    )
    head = west.head
    head["proposal"]["study"]["name"] = "another"
    head, payload = west.resigned(head, "swt-0")
    west.refuses(head, "Another study", payload, also=("approved/",))

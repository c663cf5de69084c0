"""A finished run: whatever is altered in what its ledgers vouch for is found."""

import json
import shutil

import pytest

from fakes import write_run
from roundelay.errors import LedgerError, RunFolderError
from roundelay.records.result_checks import differences
from roundelay.records.verification import check_run, verify_run
from roundelay.relay.chain import read_chain
from surveys import study
from toy_runs import rechain, verify_arm

PLAN = study(top={"arms": ("cwt", "fedavg")}, recipe={"rounds": 2, "epochs": 1})
LABELS = ("cwt-0", "fedavg-0")


@pytest.fixture(scope="module")
def finished(module_path):
    write_run(module_path / "RUN", PLAN, {})
    return module_path / "RUN"


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "RUN")


def test_an_untouched_run_verifies_to_the_heads_of_its_ledgers(finished):
    heads = [read_chain(finished / "arms" / label / "ledger.jsonl").head for label in LABELS]

    assert [verify_arm(finished, label) for label in LABELS] == heads


def leaves(value, path=()):
    """Every number, text, truth and nothing in a JSON value, with where it stands."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, child in pairs for leaf in leaves(child, (*path, key))]
    return [(path, value)]


def altered(value):
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value or ''}x"


@pytest.mark.parametrize("label", LABELS)
def test_any_altered_value_of_an_itinerary_is_found(run, label):
    path = run / "arms" / label / "itinerary.json"
    honest = path.read_text()
    places = [place for place, _ in leaves(json.loads(honest))]

    assert len(places) > 60
    for *above, last in places:
        values = holder = json.loads(honest)
        for key in above:
            holder = holder[key]
        holder[last] = altered(holder[last])
        path.write_text(json.dumps(values))
        with pytest.raises(LedgerError):
            verify_arm(run, label)


@pytest.mark.parametrize("change", ["a leg less", "a leg more", "legs swapped"])
def test_an_itinerary_of_other_legs_is_found(run, change):
    path = run / "arms" / "cwt-0" / "itinerary.json"
    legs = json.loads(path.read_text())
    if change == "a leg less":
        del legs[-1]
    elif change == "a leg more":
        legs.append(legs[-1])
    else:
        legs[0], legs[1] = legs[1], legs[0]
    path.write_text(json.dumps(legs))

    with pytest.raises(LedgerError, match="not the plan"):
        verify_arm(run, "cwt-0")


@pytest.mark.parametrize("label", LABELS)
def test_every_kept_baton_and_the_model_are_vouched_for(run, label):
    kept = [*(run / "arms" / label / "batons").iterdir()]
    kept.append(run / "arms" / label / "model.safetensors")

    assert len(kept) == (7 if label == "cwt-0" else 9)
    for path in kept:
        honest = path.read_bytes()
        for attack in (honest[:-1], honest + b"\0", bytes([honest[0] ^ 1]) + honest[1:]):
            path.write_bytes(attack)
            with pytest.raises(LedgerError, match="was altered"):
                verify_arm(run, label)
        path.write_bytes(honest)
    assert verify_arm(run, label)


def test_batons_that_changed_places_are_found(run):
    one, other, *_ = sorted((run / "arms" / "cwt-0" / "batons").iterdir())
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)

    with pytest.raises(LedgerError, match="was altered"):
        verify_arm(run, "cwt-0")


def test_a_baton_that_stands_in_no_line_is_found_in_a_finished_arm_alone(run):
    place = run / "arms" / "cwt-0"
    stranger = place / "batons" / f"{'0' * 64}.safetensors"
    shutil.copy(next((place / "batons").iterdir()), stranger)

    with pytest.raises(LedgerError, match="stands in no line"):
        verify_arm(run, "cwt-0")
    # What a kill between baton and line leaves.
    for path in (place / "scores.json", run / "summary.json", run / "closing.json"):
        path.unlink()
    lines = (place / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (place / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    assert verify_arm(run, "cwt-0")


@pytest.mark.parametrize("left", [1, 4, 6])
def test_lines_cut_from_the_end_of_a_finished_arm_are_found(run, left):
    ledger = run / "arms" / "cwt-0" / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    assert len(lines) == 8
    ledger.write_bytes(b"".join(lines[:left]))
    shutil.rmtree(run / "arms" / "cwt-0" / "batons")  # so that no baton gives them away

    with pytest.raises(LedgerError, match=f"ends after {left - 1} of 6 legs"):
        verify_arm(run, "cwt-0")


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("key", ["head", "model"])
def test_a_summary_that_notes_another_head_or_model_is_found(run, label, key):
    path = run / "summary.json"
    values = json.loads(path.read_text())
    values["arms"] = [
        {**row, key: "0" * 64} if row["label"] == label else row for row in values["arms"]
    ]
    path.write_text(json.dumps(values))

    with pytest.raises(LedgerError, match=rf"summary.json says otherwise at arms.\d.{key}"):
        verify_run(run)
    assert all(verify_arm(run, label) for label in LABELS)


def test_a_whole_run_is_verified_at_once(run):
    found = verify_run(run)

    assert list(found.heads) == list(LABELS)
    assert found.heads["cwt-0"] == verify_arm(run, "cwt-0")
    assert found.head == json.loads((run / "closing.json").read_text())["digest"]
    assert found.signed_receipts == 0
    assert not found.failed


def test_a_run_that_goes_on_has_claims_that_come_later(run):
    for path in (run / "summary.json", run / "closing.json"):
        path.unlink()
    shutil.rmtree(run / "arms" / "fedavg-0")

    found = verify_run(run)

    later = {c.text: c.why for c in found.claims if "finished" in c.why or "not yet" in c.why}
    assert later == {
        "closing.json names every head and file, and none was altered": "the run isn't finished",
        "summary.json is what scores and ledgers come to": "the run isn't finished",
        "patients.csv is what the scores come to": "the run isn't finished",
        "all arms scored the same patients": "the arm isn't finished",
        "it has begun": "not yet: its ledger isn't there",
    }


def test_signs_as_an_earlier_build_spelled_them_are_no_fault():
    def differ(before, now):
        return [*differences([{"sentence": before}], [{"sentence": now}])]

    assert not differ("a less b: +0.000 Dice", "a less b: 0.000 Dice")
    assert differ("a less b: +0.035 Dice", "a less b: -0.035 Dice")
    assert differ("a less b: 0.035 Dice", "a less b: +0.035 Dice")


def test_of_nothing_nothing_is_said_to_be_checked(run):
    """No row of a hospital on one machine, no validation.json, no arm to compare with, no visit."""
    before = {claim.text: claim for claim in verify_run(run).claims}
    for path in (run / "summary.json", run / "closing.json"):
        path.unlink()
    shutil.rmtree(run / "arms" / "fedavg-0")
    after = {claim.text: claim for claim in verify_run(run).claims}

    assert not any("gave one row" in text for text in before)
    assert not (run / "arms" / "cwt-0" / "validation.json").exists()
    rows = "validation.json has the patients and hand-overs that it must have"
    assert "there is no such file" in before[rows].why
    for text in (
        "all arms of a seed began with the same weights",
        "every itinerary is the one that study and sites give",
    ):
        assert before[text].outcome == "checked"
        assert after[text].outcome == "unchecked" and "1 of 2 arms" in after[text].why


def test_of_visits_that_are_still_to_come_nothing_is_said_to_be_checked(run):
    for name in ("summary.json", "closing.json", "arms/cwt-0/scores.json"):
        (run / name).unlink()
    shutil.rmtree(run / "arms" / "fedavg-0")
    ledger = run / "arms" / "cwt-0" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])

    found = check_run(run).claims

    why = [claim.text for claim in found if claim.why == "no visit is finished yet"]
    assert len(why) == 2
    assert "nothing is computed yet" in [claim.why for claim in found]


def test_one_arm_a_seed_has_none_to_be_compared_with(tmp_path):
    write_run(tmp_path, study(recipe={"rounds": 2, "epochs": 1}), {})

    alone = [claim for claim in verify_run(tmp_path).claims if "none to compare" in claim.why]
    assert len(alone) == 2


def test_a_run_of_an_older_version_says_what_it_never_noted(run):
    """It closed neither ledgers nor runs, and its record names no format."""
    (run / "closing.json").unlink()
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k != "format"}))
    for label in LABELS:
        ledger = run / "arms" / label / "ledger.jsonl"
        lines = ledger.read_bytes().splitlines(keepends=True)
        ledger.write_bytes(b"".join(lines[:-1]))
    heads = [read_chain(run / "arms" / label / "ledger.jsonl").head for label in LABELS]
    summary = json.loads((run / "summary.json").read_text())
    for row, head in zip(summary["arms"], heads, strict=True):
        row["head"] = head
    (run / "summary.json").write_text(json.dumps(summary))

    found = verify_run(run)

    assert sum("older version" in claim.why for claim in found.claims) == 3
    assert list(found.heads.values()) == heads and found.head is None


def test_a_mean_of_several_sites_is_computed_again_where_its_parts_are_kept(run):
    text = "what several sites returned was merged as the study says"
    place = run / "arms" / "fedavg-0"

    def outcome():
        return next(c for c in check_run(run).claims if (c.about, c.text) == ("fedavg-0", text))

    assert outcome().outcome == "checked"
    line = json.loads((place / "ledger.jsonl").read_text().splitlines()[1])
    returned = place / "batons" / f"{line['receipts'][0]['returned']}.safetensors"
    returned.rename(run / "aside")
    assert outcome().outcome == "unchecked" and "leg 1" in outcome().why
    (run / "aside").rename(returned)

    def other_mean(entries):
        digests = [r["returned"] for r in entries[1]["receipts"]]
        entries[1]["baton"] = digests[0]

    rechain(place, other_mean)
    assert outcome().outcome == "failed"


def test_a_folder_without_ledgers_is_no_run(tmp_path):
    with pytest.raises(RunFolderError, match="not a run"):
        verify_run(tmp_path)

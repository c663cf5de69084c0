"""A finished run: whatever is altered in what its ledgers vouch for is found."""

import json
import shutil

import pytest

from fakes import toy_ledger, write_run
from roundelay.errors import LedgerError, RunFolderError
from roundelay.plan.arms import lay
from roundelay.records.verification import verify_arm, verify_run
from surveys import study, surveys

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
    heads = [
        toy_ledger(finished / "arms" / label, arm).head
        for label, arm in zip(LABELS, lay(PLAN, surveys()), strict=True)
    ]

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

    assert len(kept) == (7 if label == "cwt-0" else 3)
    for path in kept:
        honest = path.read_bytes()
        for attack in (honest[:-1], honest + b"\0", bytes([honest[0] ^ 1]) + honest[1:]):
            path.write_bytes(attack)
            with pytest.raises(LedgerError, match=r"was altered|another head or model"):
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
    (place / "scores.json").unlink()
    (run / "summary.json").unlink()
    assert verify_arm(run, "cwt-0")


@pytest.mark.parametrize("left", [1, 4, 6])
def test_lines_cut_from_the_end_of_a_finished_arm_are_found(run, left):
    ledger = run / "arms" / "cwt-0" / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    assert len(lines) == 7
    ledger.write_bytes(b"".join(lines[:left]))
    shutil.rmtree(run / "arms" / "cwt-0" / "batons")  # so that no baton gives them away

    with pytest.raises(LedgerError, match=f"ends after {left - 1} of 6 legs"):
        verify_arm(run, "cwt-0")


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("key", ["head", "model"])
def test_a_summary_that_notes_another_head_or_model_is_found(run, label, key):
    path = run / "summary.json"
    honest = json.loads(path.read_text())["arms"]
    rows = [{**row, key: "0" * 64} if row["label"] == label else row for row in honest]
    path.write_text(json.dumps({"arms": rows}))

    with pytest.raises(LedgerError, match=f"another head or model for {label}"):
        verify_arm(run, label)
    other = LABELS[1 - LABELS.index(label)]
    assert verify_arm(run, other)


def test_a_whole_run_is_verified_at_once(run):
    found = verify_run(run)

    assert list(found.heads) == list(LABELS)
    assert found.heads["cwt-0"] == verify_arm(run, "cwt-0")
    assert found.signed_receipts == 0


def test_a_folder_without_ledgers_is_no_run(tmp_path):
    with pytest.raises(RunFolderError, match="not a run"):
        verify_run(tmp_path)

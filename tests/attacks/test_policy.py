"""Every key of a hospital's policy is read: for each there is a request that it refuses."""

import pytest
from pydantic import BaseModel

from roundelay.errors import NetworkError, RefusedError
from roundelay.network.hospital import consent
from roundelay.network.hospital.policy import Accept, Policy, read_policy
from roundelay.network.hospital.policy_checks import check_task
from roundelay.network.wire.keys import fingerprint
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.relay.baton import Baton
from roundelay.running.starting import start_baton

OWN = "0" * 64
"""The digest of no study."""

REFUSALS = {
    "accept.studies": (f'studies = ["{OWN}"]', "unapproved train", "awaiting"),
    "accept.owners": ('owners = ["0000 0000"]', "unapproved train", "awaiting"),
    "accept.tasks": ('tasks = ["evaluate", "recalibrate"]', "train", "accept.tasks"),
    "accept.seals": ('seals = ["none", "owner"]', "train", "accept.seals"),
    "accept.encoders": ('encoders = ["resnext50_32x4d"]', "survey", "accept.encoders"),
    "accept.rounds": ("rounds = 1", "two rounds", "accept.rounds"),
    "accept.visits": ("visits = 1", "two rounds", "accept.visits"),
    "accept.steps": ("steps = 1", "two steps", "accept.steps"),
    "accept.least_slices": ("least_slices = 5", "train", "accept.least_slices"),
    "accept.runs": ("runs = 1", "another run", "awaiting"),
    "release.scores": ('scores = "none"', "evaluate validation", "no rows"),
    "release.least_scored": ("least_scored = 2", "evaluate validation", "no rows"),
    "release.least_patients": ("least_patients = 2", "train", "release.least_patients"),
    "acceptance.change": ("change = 0.5", "a changed model", "acceptance.change"),
    "acceptance.drop": ("drop = 0.01", "a worse model", "acceptance.drop"),
}
"""By key: how a policy sets it, what is asked, what comes back."""

ELSEWHERE = {"accept.rounds", "accept.visits", "accept.steps", "acceptance.change",
             "acceptance.drop"}  # fmt: skip
"""Keys whose requests belong to studies of their own, below."""


def keys_of(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += keys_of(inner, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def test_no_key_of_a_policy_is_without_a_request_that_it_refuses():
    assert set(keys_of(Policy)) == set(REFUSALS)


def set_policy(west, key):
    section, text = key.partition(".")[0], REFUSALS[key][0]
    (west.home / "policy.toml").write_text(f"[{section}]\n{text}\n")


def asked(west, kind):
    if kind.startswith("unapproved"):
        for approved in (west.home / "approved").iterdir():
            approved.unlink()
    message = west.situation.asked[kind.removeprefix("unapproved ").replace("another run", "train")]
    head = {key: value for key, value in message.head.items() if key != "payload"}
    if kind == "another run":
        head["run"] = "r2"
    return head, message.payload


@pytest.mark.parametrize("key", sorted(set(REFUSALS) - ELSEWHERE))
def test_a_request_against_a_key_of_the_policy_is_refused(west, key):
    _, kind, word = REFUSALS[key]
    set_policy(west, key)
    head, payload = asked(west, kind)
    if word not in ("awaiting", "no rows"):
        west.refuses(head, word, payload)
        return
    found = west.reply(head, payload)
    assert not {"proof", "survey"} & found.keys()
    assert found.get("scores") == [] if word == "no rows" else "awaiting" in found


@pytest.mark.parametrize("key", ["accept.rounds", "accept.visits", "accept.steps"])
def test_a_longer_study_is_refused_where_the_policy_says_so(west, key):
    """An owner whose studies need no approval proposes more than the policy accepts."""
    set_policy(west, key)
    owner = f'owners = ["{fingerprint(west.owner.public())}"]\nruns = 9\n'
    path = west.home / "policy.toml"
    path.write_text(path.read_text() + owner)
    head = west.head
    recipe = head["proposal"]["study"]["recipe"]
    if key == "accept.steps":
        recipe["steps"] = 2
    else:
        head["proposal"]["study"]["arms"], recipe["rounds"] = ["cwt"], 2
    head, payload = west.resigned(head, "cwt-0" if key != "accept.steps" else "swt-0")
    west.refuses(head, key, payload, also=("approved/",))


@pytest.mark.parametrize("key", ["acceptance.change", "acceptance.drop"])
def test_a_model_against_the_policy_is_put_into_quarantine(west, key):
    """Since WEST's last visit in the arm, the one before it handed on something else."""
    set_policy(west, key)
    owner = f'[accept]\nowners = ["{fingerprint(west.owner.public())}"]\n'
    path = west.home / "policy.toml"
    path.write_text(path.read_text() + owner)
    head = west.head
    head["proposal"]["study"]["arms"] = ["cwt"]
    head["proposal"]["study"]["recipe"]["rounds"] = 2
    head, payload = west.resigned(head, "cwt-0")
    assert "proof" in west.reply(head, payload)
    head, _ = west.resigned({**head, "leg": 3}, "cwt-0")
    west.refuses(*swap_model(west, head, key))


def swap_model(west, head, key):
    """The request with a model that is far from the last one, or marks other places."""
    start = start_baton(west.proposal_of(head).study, 0).arrays()
    factor = 3.0 if key == "acceptance.change" else 1.0
    arrays = {name: array * factor if array.dtype.kind == "f" else array
              for name, array in start.items()}  # fmt: skip
    if key == "acceptance.drop":
        bias = next(name for name in arrays if name.endswith("head.bias") or "segmentation" in name)
        arrays[bias] = arrays[bias] - 50.0
    sent = hand_over(
        Baton.of(arrays), west.place_of(head, 2, "cwt-0"), west.proposal_of(head), ["WEST"], "EAST",
        west.keys_of("EAST"),
    )  # fmt: skip
    return {**head, "proof": sent.proof}, key, sent.data


def test_a_policy_may_name_an_owner_whose_studies_need_no_approval(west):
    for approved in (west.home / "approved").iterdir():
        approved.unlink()
    (west.home / "policy.toml").write_text(
        f'[accept]\nowners = ["{fingerprint(west.owner.public())}"]\n'
    )
    assert "proof" in west.reply(west.head, west.asked.payload)
    assert "awaiting" in west.reply({**west.head, "run": "r2"}, west.asked.payload)


@pytest.mark.parametrize("task", ["recalibrate", "recalibrate_in_turn"])
def test_a_recalibration_is_one_task_of_a_policy_in_turn_or_side_by_side(task):
    check_task(Policy(), task)
    check_task(Policy(accept=Accept(tasks=("recalibrate",))), task)

    with pytest.raises(RefusedError, match=r"the task 'recalibrate' \(accept\.tasks\)"):
        check_task(Policy(accept=Accept(tasks=("train", "evaluate"))), task)


def test_faults_of_a_policy_are_all_named(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text("[accept]\nround = 3\n[acceptance]\nchange = -1.0\n")
    with pytest.raises(NetworkError, match="did you mean 'rounds'") as caught:
        read_policy(path)
    assert "acceptance.change" in str(caught.value)
    assert (Policy().acceptance.change, Policy().release.least_scored) == (5.0, 5)


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ('scores = "none"', 0),
        ("least_scored = 3", 0),
        ('scores = "site"\nleast_scored = 1', 1),
        ('scores = "patient"\nleast_scored = 1', 2),
    ],
)
def test_scores_that_were_given_are_given_again_as_the_policy_is_today(fuzzed, policy, left):
    """Rows by patient left once; since then the hospital has narrowed its policy."""
    west = fuzzed.west
    path, head = west.home / "policy.toml", fuzzed.asked("evaluate validation")
    kept, fuzzed.rows = path.read_text(), 2
    path.write_text('[release]\nscores = "patient"\nleast_scored = 1\n')
    try:
        first = west.reply(*head)["scores"]
        assert [row["patient"] for row in first] == ["WEST 1", "WEST 2"]
        path.write_text(f"[release]\n{policy}\n")
        again = west.reply(*head)["scores"]
        assert len(again) == left and (left != 2 or again == first)
        assert [row["patients"] for row in again] == [2] * (left == 1) + [1, 1] * (left == 2)
    finally:
        path.write_text(kept)
        fuzzed.rows = 1
        fuzzed.tidy()
    assert fuzzed.done == [("evaluate", "validation")]
    fuzzed.done.clear()


def test_a_visit_that_was_made_is_not_told_again_once_the_policy_forbids_it(fuzzed):
    west, request = fuzzed.west, fuzzed.asked("train")
    path = west.home / "policy.toml"
    kept = path.read_text()
    assert "proof" in west.reply(*request)
    try:
        for policy in ('tasks = ["evaluate"]', 'seals = ["none"]', 'encoders = ["other"]'):
            path.write_text(f"[accept]\n{policy}\n")
            found = west.reply(*request)
            assert "policy does not allow" in found["refused"] and "proof" not in found
    finally:
        path.write_text(kept)
        fuzzed.tidy()
    fuzzed.did_what_was_approved()


def test_a_policy_approves_no_endless_list_of_studies(west, monkeypatch):
    """Also where the owner of the study is trusted."""
    monkeypatch.setattr(consent, "MOST_UNASKED", 3)
    owner = fingerprint(west.owner.public())
    (west.home / "policy.toml").write_text(f'[accept]\nowners = ["{owner}"]\n')
    head = {key: west.head[key] for key in ("site", "run", "proposal")} | {"ask": "survey"}
    for number in range(4):
        head["proposal"]["study"]["name"] = f"study {number}"
        found = west.reply(head, b"")
    assert "3 runs were approved" in found["refused"]
    assert len(list((west.home / "approved").iterdir())) == 3

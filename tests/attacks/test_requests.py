"""What a hospital refuses: all that is not as its operator and its neighbour left it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hospitals import Network, by_site
from roundelay.errors import LedgerError, NetworkError, RefusedError
from roundelay.network.coordinator import courier
from roundelay.network.hospital.policy import Policy, read_policy
from roundelay.network.hospital.request_handler import answer
from roundelay.network.wire.keys import fingerprint, own_keys
from roundelay.network.wire.messages import pack, unpack
from roundelay.network.wire.proposal import proposal_from_json
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.network.wire.sealing import seal, unseal
from roundelay.phantom.cohort import make_toy
from roundelay.plan.progress import Waiting
from roundelay.records.layout import read_record
from roundelay.records.signatures import check_signatures
from roundelay.relay.baton import Baton
from roundelay.relay.ledger import read_ledger
from roundelay.running.starting import start_baton
from surveys import study


@pytest.fixture(scope="module")
def run(module_path):
    """A finished run of two hospitals, and the question for the second visit as it was asked."""
    place = module_path
    data = make_toy(place / "data", seed=0, patients={"EAST": 3, "WEST": 3}, slices=4, size=64)
    net = Network(place, data, by_site(data))
    plan = study(
        top={"arms": ("swt",)},
        data={"root": str(data), "size": 32, "split": {"validation": 0.34, "test": 0.0}},
        model={"encoder": "resnet18"},
        recipe={"rounds": 1, "steps": 1, "batch": 2, "deterministic": True},
        evaluation={"samples": False},
    )
    questions, before = [], {}

    def watch(direction, request, message):
        if direction == "request" and b'"ask":"train"' in message[:9000]:
            if request.site == "WEST":
                before.update(snapshot(net.homes["WEST"]))
            questions.append(message)
        return message

    net.wire.tamper = watch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(courier, "AGAIN", 0.0)
        net.run(
            plan,
            place / "RUN",
            on_event=lambda e: isinstance(e, Waiting) and net.approve(e.site, plan),
        )
    return net, place / "RUN", questions, before


def snapshot(home):
    return {p.relative_to(home): p.read_bytes() for p in home.rglob("*") if p.is_file()}


@pytest.fixture
def west(run, tmp_path):
    """The second hospital as it was before its visit, the question, and the owner's keys."""
    net, _, questions, before = run
    home = tmp_path / "WEST"
    for name, data in before.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(data)
    for key in (home / "keys").iterdir():
        key.chmod(0o600)
    torch.set_num_threads(1)
    return home, unpack(questions[-1]), own_keys(net.place / "coordinator")


def reply(home, head, payload, keys):
    return unpack(answer(home, pack(head, payload, keys), lambda _: None))


def refused(home, head, payload, keys, word):
    found = reply(home, head, payload, keys).head
    assert word in found.get("refused", ""), found
    assert not list((home / "runs").rglob("answers/*")), "it was answered all the same"
    audit = [json.loads(line) for line in (home / "audit.jsonl").read_text().splitlines()]
    assert audit[-1]["outcome"] == "refused"


def test_the_question_as_it_was_asked_is_answered(west):
    home, asked, owner = west
    assert "receipt" in reply(home, asked.head, asked.payload, owner).head


def test_bytes_that_were_cut_or_altered_are_refused(west):
    home, asked, owner = west
    whole = pack(asked.head, asked.payload, owner)
    for broken in (whole[:-1], whole[:100], b"", whole[:-9] + b"x" + whole[-8:]):
        found = unpack(answer(home, broken, lambda _: None)).head
        assert "cut or altered" in found["refused"]


def test_a_baton_that_was_altered_and_packed_again_is_refused(west):
    home, asked, owner = west
    data = bytearray(asked.payload)
    data[len(data) // 2] ^= 1
    refused(home, asked.head, bytes(data), owner, "altered after it was sealed")


def test_a_question_of_somebody_else_than_the_owner_is_refused(west, tmp_path):
    home, asked, _ = west
    refused(home, asked.head, asked.payload, own_keys(tmp_path / "stranger"), "isn't signed by")


def test_a_question_for_another_hospital_is_refused(west, run):
    home, _, owner = west
    other = unpack(run[2][0])
    refused(home, other.head, other.payload, owner, "another hospital")


def test_a_baton_from_another_hand_is_refused(west):
    """The coordinator itself can't put a model of its own in the place of the last holder's."""
    home, asked, owner = west
    proposal = proposal_from_json(asked.head["proposal"])
    place = {"run": asked.head["run"], "proposal": proposal.digest, "arm": "swt-0", "leg": 0}
    own = hand_over(start_baton(proposal.study, 7), place, proposal, ["WEST"], "coordinator", owner)
    refused(home, {**asked.head, "proof": own.proof}, own.data, owner, "isn't signed by EAST")
    forged = {**own.proof, "signer": "EAST"}
    refused(home, {**asked.head, "proof": forged}, own.data, owner, "isn't signed by EAST")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"run": "another"}, "another run"),
        ({"arm": "cwt-0"}, "another arm"),
        ({"leg": 0}, "no stop at WEST"),
        ({"leg": 99}, "can't be read"),
        ({"before": -1}, "out of turn"),
        ({"before": 1}, "out of turn"),
        ({"proof": None}, "without the statement"),
        ({"ask": "everything"}, "does not answer"),
    ],
)
def test_a_baton_in_another_place_is_refused(west, change, word):
    home, asked, owner = west
    refused(home, {**asked.head, **change}, asked.payload, owner, word)


def test_a_run_whose_name_leads_out_of_its_folder_fails_and_says_nothing_more(west):
    home, asked, owner = west
    before = snapshot(home)
    found = reply(home, {**asked.head, "run": "../../keys"}, asked.payload, owner).head
    assert (found["failed"], "receipt" in found) == ("NetworkError", False)
    del before[Path("audit.jsonl")]
    assert snapshot(home).items() >= before.items()
    assert set(snapshot(home)) == {*before, Path("audit.jsonl")}


def test_a_baton_is_not_taken_twice(west):
    home, asked, owner = west
    assert "receipt" in reply(home, asked.head, asked.payload, owner).head
    for kept in (home / "runs").rglob("answers/*"):
        kept.unlink()
    found = reply(home, asked.head, asked.payload, owner).head
    assert "not taken twice" in found["refused"]


def test_the_itinerary_of_an_arm_can_not_change_after_the_first_visit(west):
    home, asked, owner = west
    reply(home, asked.head, asked.payload, owner)
    legs = json.loads(json.dumps(asked.head["legs"]))
    legs[1]["stops"][0]["steps"] = 99
    found = reply(home, {**asked.head, "legs": legs}, asked.payload, owner).head
    assert "another one than at the first visit" in found["refused"]


def test_a_study_that_nobody_approved_waits(west):
    home, asked, owner = west
    for approved in (home / "approved").iterdir():
        approved.unlink()
    found = reply(home, asked.head, asked.payload, owner).head
    assert "site approve" in found["awaiting"]
    assert len(list((home / "pending").iterdir())) == 1


@pytest.mark.parametrize("key", ["seal", "roster", "study"])
def test_an_approval_is_for_one_study_one_seal_and_one_list_of_keys(west, key, tmp_path):
    home, asked, owner = west
    proposal = json.loads(json.dumps(asked.head["proposal"]))
    if key == "seal":
        proposal["seal"] = "owner"
    elif key == "study":
        proposal["study"]["recipe"]["rounds"] = 9
    else:
        proposal["roster"]["EAST"] = own_keys(tmp_path / "false").public()
    found = reply(home, {**asked.head, "proposal": proposal}, asked.payload, owner).head
    assert "awaiting" in found


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        ('[accept]\ntasks = ["evaluate"]', "accept.tasks"),
        ('[accept]\nseals = ["none"]', "accept.seals"),
        ('[accept]\nencoders = ["resnext50_32x4d"]', "accept.encoders"),
    ],
)
def test_the_hospitals_policy_has_the_last_word(west, policy, word):
    home, asked, owner = west
    (home / "policy.toml").write_text(policy)
    refused(home, asked.head, asked.payload, owner, word)


def test_a_policy_may_name_an_owner_whose_studies_need_no_approval(west):
    home, asked, owner = west
    for approved in (home / "approved").iterdir():
        approved.unlink()
    (home / "policy.toml").write_text(f'[accept]\nowners = ["{fingerprint(owner.public())}"]\n')
    assert "receipt" in reply(home, asked.head, asked.payload, owner).head


def test_faults_of_a_policy_are_all_named(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text("[accept]\nround = 3\n[acceptance]\nchange = -1.0\n")
    with pytest.raises(NetworkError, match="did you mean 'rounds'") as caught:
        read_policy(path)
    assert "acceptance.change" in str(caught.value)
    assert Policy().acceptance.change == 5.0


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (lambda name, a: np.full_like(a, np.nan) if name.endswith("conv1.weight") else a, "finite"),
        (lambda name, a: a.reshape(-1) if name.endswith("conv1.weight") else a, "another shape"),
        (lambda name, a: a if "decoder" not in name else None, "no U-Net"),
    ],
)
def test_the_acceptance_check_keeps_a_broken_model_out(west, run, harm, word):
    """The last holder itself hands over a broken model, well signed."""
    home, asked, owner = west
    proposal = proposal_from_json(asked.head["proposal"])
    arrays = {n: harm(n, a) for n, a in start_baton(proposal.study, 0).arrays().items()}
    broken = Baton.of({name: a for name, a in arrays.items() if a is not None})
    place = {"run": asked.head["run"], "proposal": proposal.digest, "arm": "swt-0", "leg": 0}
    east = own_keys(run[0].homes["EAST"])
    sent = hand_over(broken, place, proposal, ["WEST"], "EAST", east)
    found = reply(home, {**asked.head, "proof": sent.proof}, sent.data, owner).head
    assert "quarantine" in found["refused"] and word in found["refused"]
    assert len(list((home / "quarantine").iterdir())) == 1


def test_an_envelope_opens_for_its_recipients_in_its_place_alone(tmp_path):
    one, other = own_keys(tmp_path / "one"), own_keys(tmp_path / "other")
    envelope = seal(b"weights", {"one": one.public()}, b"place")
    assert unseal(envelope, "one", one, b"place") == b"weights"
    with pytest.raises(RefusedError, match="isn't sealed for other"):
        unseal(envelope, "other", other, b"place")
    for name, keys, context in (("one", other, b"place"), ("one", one, b"elsewhere")):
        with pytest.raises(RefusedError, match="does not open"):
            unseal(envelope, name, keys, context)
    for i in range(len(envelope)):
        altered = envelope[:i] + bytes([envelope[i] ^ 1]) + envelope[i + 1 :]
        with pytest.raises(RefusedError):
            unseal(altered, "one", one, b"place")


def test_private_keys_are_for_their_owner_alone(tmp_path):
    own_keys(tmp_path)
    for key in (tmp_path / "keys").iterdir():
        assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(NetworkError, match="chmod 600"):
        own_keys(tmp_path)


def lines_of(run):
    return read_ledger(run / "arms" / "swt-0" / "ledger.jsonl")


def test_the_signatures_of_a_ledger_are_checked_offline(run):
    _, out, _, _ = run
    assert check_signatures(read_record(out), "swt-0", lines_of(out)) == 2


@pytest.mark.parametrize("forge", ["receipt", "signature", "signer", "none", "swapped", "roster"])
def test_a_forged_receipt_is_found_though_the_chain_holds(run, forge):
    """Who knows the format can make a new chain, but not a hospital's signature."""
    _, out, _, _ = run
    record, lines = read_record(out), lines_of(out)
    if forge == "receipt":
        lines[1]["receipts"][0]["patients"] += 1
    elif forge == "signature":
        lines[1]["proofs"][0]["signature"] = "00" * 64
    elif forge == "signer":
        lines[1]["proofs"][0]["signer"] = "WEST"
    elif forge == "none":
        del lines[1]["proofs"]
    elif forge == "swapped":
        lines[1]["proofs"], lines[2]["proofs"] = lines[2]["proofs"], lines[1]["proofs"]
    else:
        record["network"]["roster"]["EAST"]["sign"] = "11" * 32
    with pytest.raises(LedgerError, match=r"forged|isn't signed"):
        check_signatures(record, "swt-0", lines)


def test_an_answer_that_another_site_signed_is_not_taken(run, west):
    net, _, _, _ = run
    home, asked, owner = west
    question = pack(asked.head, asked.payload, owner)
    found = unpack(answer(home, question, lambda _: None))
    east = own_keys(net.homes["EAST"]).public()
    with pytest.raises(RefusedError, match="isn't signed by EAST"):
        found.check(east, "EAST")
    assert found.head["request"] == hashlib.sha256(question).hexdigest()
    statement = found.head["proof"]["statement"]
    assert statement["receipt"] == found.head["receipt"]


def test_nothing_of_a_hospitals_folders_is_in_what_leaves(run, west):
    """Also where its data is broken: the kind of the error alone."""
    home, asked, owner = west
    settings = json.loads((home / "site.json").read_text())
    (home / "site.json").write_text(json.dumps({**settings, "root": "/nowhere/at/all"}))
    found = answer(home, pack(asked.head, asked.payload, owner), lambda _: None)
    assert unpack(found).head["failed"] == "DataError"
    assert b"nowhere" not in found

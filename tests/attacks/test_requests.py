"""What a hospital refuses: all that is not as its operator and its neighbour left it."""

import json
from pathlib import Path

import numpy as np
import pytest

from attacks.mutations import as_parts, whole
from roundelay.errors import LedgerError, NetworkError, RefusedError
from roundelay.files.canonical import canonical_json
from roundelay.network.hospital.request_handler import answer
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import pack, unpack
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.network.wire.sealing import seal, unseal
from roundelay.records.layout import read_record
from roundelay.records.signatures import check_signatures, check_survey_signatures
from roundelay.relay.baton import Baton
from roundelay.relay.ledger import read_ledger
from roundelay.running.starting import start_baton


def test_the_request_as_it_was_sent_is_answered(west):
    assert "proof" in west.reply(west.head, west.asked.payload)


def test_bytes_that_were_cut_or_altered_are_refused(west):
    sent = whole(pack(west.head, west.asked.payload, west.owner))
    for broken in (sent[:-1], sent[:100], b"", sent[:-9] + b"x" + sent[-8:]):
        found = unpack(answer(west.home, as_parts(broken), lambda _: None)).head
        assert "cut or altered" in found["refused"]


def test_a_baton_that_was_altered_and_packed_again_is_refused(west):
    data = bytearray(west.asked.payload)
    data[len(data) // 2] ^= 1
    west.refuses(west.head, "altered after it was sealed", bytes(data))


def test_a_request_of_somebody_else_than_the_owner_is_refused(west, tmp_path):
    west.refuses(west.head, "isn't signed by", keys=own_keys(tmp_path / "stranger"))


def test_a_request_to_another_hospital_is_refused(west):
    west.refuses({**west.head, "site": "EAST"}, "another hospital")


def test_a_baton_from_another_hand_is_refused(west):
    """The coordinator itself can't put a model of its own in the place of the last holder's."""
    start = start_baton(west.proposal.study, 7)
    own = hand_over(start, west.place(0), west.proposal, ["WEST"], "coordinator", west.owner)
    west.refuses({**west.head, "proof": own.proof}, "isn't signed by EAST", own.data)
    forged = {**own.proof, "signer": "EAST"}
    west.refuses({**west.head, "proof": forged}, "isn't signed by EAST", own.data)


@pytest.mark.parametrize("before", [-1, 1, 2])
def test_a_baton_out_of_turn_is_refused_though_it_is_well_signed(west, before):
    start, east = start_baton(west.proposal.study, 0), west.keys_of("EAST")
    sent = hand_over(start, west.place(before), west.proposal, ["WEST"], "EAST", east)
    west.refuses({**west.head, "proof": sent.proof}, "out of turn", sent.data)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"arm": "cwt-0"}, "no arm cwt-0"),
        ({"leg": 0}, "no stop at WEST"),
        ({"leg": 99}, "no leg 100"),
        ({"leg": -1}, "leg"),
        ({"leg": 10**12}, "leg"),
        ({"leg": True}, "leg"),
        ({"leg": "1"}, "leg"),
        ({"proof": None}, "proof"),
        ({"proof": {"statement": {}}}, "proof.statement"),
        ({"ask": "everything"}, "does not answer"),
        ({"ask": ["train"]}, "does not answer"),
        ({"proposal": []}, "proposal"),
        ({"run": "../../keys"}, "run"),
        ({"run": ""}, "run"),
        ({"run": "r1\n"}, "run"),
        ({"steps": 7}, "steps"),
        ({"legs": []}, "legs"),
    ],
)
def test_a_request_that_says_what_none_says_is_refused(west, change, word):
    west.refuses({**west.head, **change}, word)


@pytest.mark.parametrize(
    "arm", ["../../../keys/x", "/etc/x", "..", "swt-0/../../x", "swt-0\0", "a" * 200, ""]
)
def test_the_name_of_an_arm_leads_to_no_file(west, arm):
    west.refuses({**west.head, "arm": arm}, "arm")


def test_a_baton_is_not_taken_twice(west):
    assert "proof" in west.reply(west.head, west.asked.payload)
    for kept in (west.home / "runs").rglob("answers/*"):
        kept.unlink()
    west.refuses(west.head, "not taken twice")


def test_the_same_request_again_gets_the_same_answer_and_no_second_visit(west):
    asked = pack(west.head, west.asked.payload, west.owner)
    told = []
    first = answer(west.home, asked, told.append)
    trained = len(told)
    assert answer(west.home, asked, told.append) == first
    assert len(told) == trained


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (lambda name, a: np.full_like(a, np.nan) if name.endswith("conv1.weight") else a, "finite"),
        (lambda name, a: a.reshape(-1) if name.endswith("conv1.weight") else a, "another shape"),
        (lambda name, a: a if "decoder" not in name else None, "not those of the study's network"),
    ],
)
def test_the_acceptance_check_keeps_a_broken_model_out(west, harm, word):
    """The last holder itself hands over a broken model, well signed."""
    arrays = {n: harm(n, a) for n, a in start_baton(west.proposal.study, 0).arrays().items()}
    broken = Baton.of({name: a for name, a in arrays.items() if a is not None})
    east = west.keys_of("EAST")
    sent = hand_over(broken, west.place(0), west.proposal, ["WEST"], "EAST", east)
    west.refuses({**west.head, "proof": sent.proof}, "quarantine", sent.data)
    audit = (west.home / "audit.jsonl").read_text().splitlines()[-1]
    assert word in json.loads(audit)["why"]
    assert len(list((west.home / "quarantine").iterdir())) == 1


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
    keys = sorted((tmp_path / "keys").glob("*.key"))
    assert len(keys) == 2
    for key in keys:
        assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(NetworkError, match="chmod 600"):
        own_keys(tmp_path)


def lines_of(run):
    return read_ledger(run / "arms" / "swt-0" / "ledger.jsonl")


def test_the_signatures_of_a_ledger_are_checked_offline(situation):
    out = situation.out
    assert check_signatures(read_record(out), "swt-0", lines_of(out)) == 2


@pytest.mark.parametrize("forge", ["receipt", "signature", "signer", "none", "swapped", "roster"])
def test_a_forged_receipt_is_found_though_the_chain_holds(situation, forge):
    """Who knows the format can make a new chain, but not a hospital's signature."""
    record, lines = read_record(situation.out), lines_of(situation.out)
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


def test_a_receipt_signed_for_other_numbers_is_found(situation):
    """Its site was told other numbers of the hospitals than those that run.json has."""
    record, lines = read_record(situation.out), lines_of(situation.out)
    proof, keys = lines[1]["proofs"][0], own_keys(situation.net.homes["EAST"])
    proof["statement"]["cohort"] = "0" * 64
    proof["signature"] = keys.sign(canonical_json(proof["statement"]))
    with pytest.raises(LedgerError, match="EAST signed this receipt for other numbers"):
        check_signatures(record, "swt-0", lines)


def test_forged_numbers_of_a_site_are_found(situation):
    """The numbers of run.json, that the whole itinerary follows from."""
    record = read_record(situation.out)
    check_survey_signatures(record)
    record["sites"][1]["slices"]["train"] += 1
    with pytest.raises(LedgerError, match="numbers of WEST aren't signed by WEST"):
        check_survey_signatures(record)


def test_an_answer_that_another_site_signed_is_not_taken(west):
    question = pack(west.head, west.asked.payload, west.owner)
    found = unpack(answer(west.home, question, lambda _: None))
    with pytest.raises(RefusedError, match="isn't signed by EAST"):
        found.check(west.keys_of("EAST").public(), "EAST")
    assert found.head["request"] == question.key


def test_nothing_of_a_hospitals_folders_is_in_what_leaves(west):
    """Also where its data is broken: the kind of the error alone."""
    settings = json.loads((west.home / "site.json").read_text())
    (west.home / "site.json").write_text(json.dumps({**settings, "root": "/nowhere/at/all"}))
    found = answer(west.home, pack(west.head, west.asked.payload, west.owner), lambda _: None)
    assert "images can't be used for this study: 1 fault," in unpack(found).head["failed"]
    assert b"nowhere" not in whole(found)


def test_what_was_refused_does_not_fill_the_disk(west):
    """However many broken models come, the newest few are kept for people to look at."""
    east = west.keys_of("EAST")
    for seed in range(6):
        arrays = start_baton(west.proposal.study, seed).arrays()
        broken = Baton.of({n: a for n, a in arrays.items() if "decoder" not in n})
        sent = hand_over(broken, west.place(0), west.proposal, ["WEST"], "EAST", east)
        west.reply({**west.head, "proof": sent.proof}, sent.data)
    kept = list((west.home / "quarantine").iterdir())
    assert len(kept) == 3
    assert Path(west.home / "quarantine" / f"{broken.digest}.safetensors") in kept

"""What a crash or a hand damaged in a kit: it is said where, and nothing more is allowed."""

import json
from pathlib import Path

import pytest

from attacks.fuzzed import tiny_baton
from roundelay.errors import NetworkError, RunFolderError, UserError
from roundelay.network.coordinator import turns
from roundelay.network.coordinator.status import _seen
from roundelay.network.hospital import request_handler
from roundelay.network.hospital.arm_store import ArmStore
from roundelay.network.hospital.consent import waiting_study
from roundelay.network.hospital.request_handler import answer
from roundelay.network.hospital.store import read_settings
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.kit import administrator, kit_sites, site_name
from roundelay.network.wire.messages import Parts
from roundelay.network.wire.sealed_baton import Opener
from roundelay.network.wire.sealing import sealed
from roundelay.records.layout import RECORD
from roundelay.running import submit
from surveys import study

DAMAGE = (
    b"", b"{", b"[]", b"null", b"7", b'"x"', b"\0" * 40, b"\xff\xfe", b'{"x": 1}', b"[" * 9999,
    b'{"key": 3, "rows": 4}', b'{"client": {}}', b'{"admin": []}', b'{"sites": "EAST"}',
    b'{"sites": ["../x"]}', b'{"run": "../x"}', b'{"name": 1, "root": 2, "format": 3}',
)  # fmt: skip

MODEL = ("train", "evaluate validation")


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_notes_of_a_run_allow_nothing_more(fuzzed, damage):
    """A visit that was made is not made again because the note of it can't be read."""
    west = fuzzed.west
    for kind in MODEL:
        assert not {"refused", "failed"} & west.reply(*fuzzed.asked(kind)).keys()
    fuzzed.done.clear()
    noted = [p for p in (west.home / "runs").rglob("*") if p.is_file()]
    assert len(noted) == 6, noted
    for path in noted:
        kept = path.read_bytes()
        path.write_bytes(damage)
        for kind in MODEL:
            found = west.reply(*fuzzed.asked(kind))
            assert "failed" not in found, (path, found)
            if "refused" in found and "not taken twice" not in found["refused"]:
                assert path.name in found["refused"]
                assert str(west.home) not in found["refused"]
        path.write_bytes(kept)
    assert fuzzed.done == []
    fuzzed.tidy()


def test_the_model_that_left_last_is_damaged_and_the_next_one_is_not_taken_unlooked(fuzzed):
    """Else a damaged file would switch the acceptance check off; its operator may remove it."""
    west, (head, payload) = fuzzed.west, fuzzed.asked("train")
    store, key, plain = ArmStore(west.home / "runs/r1/swt-0"), "0" * 64, tiny_baton().data
    envelope = sealed(plain, {"EAST": west.keys_of("EAST").public()}, b"there")
    store.keep_body(key, envelope.pieces, len(plain))
    store.keep(0, key, {}, Opener(envelope.key.hex(), "there"))
    assert store.last() == plain
    for path in (store.body(key), store.body(key).with_suffix(".opener")):
        kept = path.read_bytes()
        for damage in (*DAMAGE, kept[:-9]):
            path.write_bytes(damage)
            assert path.name in west.reply(head, payload)["refused"]
        path.write_bytes(kept)
    assert fuzzed.done == []
    store.body(key).unlink()
    assert "proof" in west.reply(head, payload)
    fuzzed.done.clear()
    fuzzed.tidy()


def test_what_can_not_be_noted_in_the_audit_log_does_not_leave(fuzzed, monkeypatch):
    def full(home, **facts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(request_handler, "audit", full)
    found = fuzzed.west.reply(*fuzzed.asked("survey"))
    assert "audit log" in found["failed"] and "survey" not in found


@pytest.mark.parametrize("damage", [*DAMAGE, None])
def test_a_policy_that_can_not_be_read_is_no_missing_policy(fuzzed, damage):
    """Without a policy everything that is approved is answered; a link that leads nowhere, a file
    of noise, are not that."""
    west = fuzzed.west
    policy = west.home / "policy.toml"
    kept = policy.read_bytes()
    policy.unlink()
    if damage is None:
        policy.symlink_to(west.home / "nowhere.toml")
    else:
        policy.write_bytes(damage)
    try:
        found = west.reply(*fuzzed.asked("survey"))
        if damage == b"":
            assert "survey" in found  # an empty policy is one
        else:
            assert "policy can't be read" in found["refused"]
            assert "nowhere" not in found["refused"]
    finally:
        policy.unlink()
        policy.write_bytes(kept)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_a_kit_is_named(tmp_path, damage):
    for place in ("startup", "roundelay"):
        (tmp_path / place).mkdir()
    for file, read in (
        ("roundelay/sites.json", kit_sites),
        ("startup/fed_client.json", site_name),
        ("startup/fed_admin.json", administrator),
        ("roundelay/site.json", lambda kit: read_settings(kit / "roundelay")),
    ):
        (tmp_path / file).write_bytes(damage)
        with pytest.raises(NetworkError, match=Path(file).name):
            read(tmp_path)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_damaged_key_is_named_and_not_drawn_anew(tmp_path, length):
    own_keys(tmp_path)
    (tmp_path / "keys" / "sign.key").write_bytes(b"x" * length)
    with pytest.raises(NetworkError, match=r"sign\.key is damaged"):
        own_keys(tmp_path)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_note_of_the_coordinator_is_a_sentence(tmp_path, damage):
    note = tmp_path / "r1.json"
    note.write_bytes(damage)
    with pytest.raises(NetworkError, match=r"r1\.json in the kit"):
        turns._noted(note, ["cwt-0", 0], [])
    assert not _seen(note).keys() & {"EAST", "WEST"}  # when a site was there: no more than that
    begun = submit._note(tmp_path, tmp_path / "RUN", study())
    begun.parent.mkdir(parents=True)
    begun.write_bytes(damage)
    with pytest.raises(NetworkError, match=begun.name):
        submit._named(begun)


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"run": "r1"},
        {"run": "../x", "roster": {}},
        {"run": "r1", "roster": {"A": {}}},
        [],
        None,
    ],
)
def test_a_damaged_record_of_a_run_between_hospitals_is_a_sentence(tmp_path, network, monkeypatch):
    monkeypatch.setattr(submit, "read_record", lambda out: {"network": network})
    with pytest.raises(RunFolderError, match=RECORD):
        submit._network_of(tmp_path)


def test_settings_of_a_site_are_read_back_as_they_were(west):
    found = json.loads((west.home / "site.json").read_text())
    settings = read_settings(west.home)
    assert (settings.name, settings.root) == (found["name"], found["root"])
    (west.home / "site.json").unlink()
    with pytest.raises(UserError, match="not started"):
        read_settings(west.home)
    with pytest.raises(UserError):
        answer(west.home, Parts(b""), lambda told: None)


def test_a_damaged_study_that_waits_hides_no_other(west):
    waiting = {**west.head, "run": "r2"}
    west.reply(waiting, west.asked.payload)
    for number, damage in enumerate(DAMAGE):
        (west.home / "pending" / f"{number}.json").write_bytes(damage)

    assert waiting_study(west.home, west.proposal.study.digest).run == "r2"
    with pytest.raises(NetworkError, match="remove it"):
        waiting_study(west.home, "0000")

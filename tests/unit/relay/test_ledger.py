"""The ledger and its batons, under attack."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roundelay.errors import LedgerError
from roundelay.files.canonical import canonical_json
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import digest
from roundelay.records.arm_checks import check_batons, check_handovers, check_visits
from roundelay.relay.baton import Baton, digest_of_parts, join
from roundelay.relay.chain import Chain, read_chain
from roundelay.relay.ledger import Header, Ledger, read_ledger
from roundelay.relay.receipt import Receipt
from surveys import study, surveys

LEGS = lay(study(), surveys())[0].legs
START = Baton.of({"model/w": np.zeros(3, np.float32)})
HEADER = Header("cwt-0", "study", digest(LEGS), "cohort", START.digest)


def baton(value):
    return Baton.of({"model/w": np.full(3, value, np.float32)})


def receipt(stop, received, returned):
    return Receipt(
        stop=stop.index,
        site=stop.site,
        round=stop.round,
        task="train",
        received=received.digest,
        returned=returned.digest,
        patients=3,
        slices=stop.slice_count,
        slice_visits=stop.slice_visits,
        steps=stop.steps,
        loss=0.5,
        seconds=1.25,
        sent_bytes=len(received.data),
        returned_bytes=len(returned.data),
        machine="toy",
    )


def write(folder, legs=LEGS, keep=None):
    ledger = Ledger(folder, HEADER, keep=keep)
    before = START
    for leg in legs:
        after = baton(leg.index + 1)
        ledger.append(leg, [receipt(leg.stops[0], before, after)], after)
        before = after
    return ledger


@pytest.fixture(scope="module")
def honest(module_path):
    write(module_path)
    return (module_path / "ledger.jsonl").read_bytes()


def test_a_ledger_reads_back_and_verifies(tmp_path):
    ledger = write(tmp_path)

    assert verify(tmp_path).head == ledger.head
    again = Ledger(tmp_path, HEADER, keep=None)
    assert again.legs_done == len(LEGS)
    assert again.last_baton() == baton(len(LEGS))
    assert [r.site for r in again.receipts] == [leg.stops[0].site for leg in LEGS]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_altered_byte_is_found(data, honest, tmp_path):
    place = data.draw(st.integers(0, len(honest) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != honest[place]))
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(honest[:place] + bytes([byte]) + honest[place + 1 :])

    with pytest.raises(LedgerError):
        read_ledger(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_missing_or_added_byte_is_found(data, honest, tmp_path):
    place = data.draw(st.integers(0, len(honest) - 1))
    added = data.draw(st.binary(max_size=1))
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(honest[:place] + (added * 2 or b"") + honest[place + (not added) :])

    with pytest.raises(LedgerError):
        read_ledger(path)


@pytest.mark.parametrize("attack", ["drop", "swap", "repeat"])
def test_a_dropped_swapped_or_repeated_line_is_found(attack, honest, tmp_path):
    lines = honest.splitlines(keepends=True)
    if attack == "drop":
        del lines[2]
    elif attack == "swap":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines.insert(2, lines[2])
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(lines))

    with pytest.raises(LedgerError, match=r"line 3|line 4"):
        read_ledger(path)


def verify(folder, legs=LEGS) -> Chain:
    """What a ledger and its batons show against a plan."""
    path = folder / "ledger.jsonl"
    chain = read_chain(path)
    check_visits(path, chain, legs)
    check_handovers(path, chain, legs)
    check_batons(folder, chain, frozenset(), done=False)
    return chain


def rewritten(honest, change):
    """A forger who knows the format: changes an entry and seals everything anew."""
    import hashlib

    previous, lines = "0" * 64, []
    for number, raw in enumerate(honest.splitlines()):
        line = json.loads(raw)
        change(number, line)
        line["previous"] = previous
        line.pop("digest")
        line["digest"] = previous = hashlib.sha256(canonical_json(line)).hexdigest()
        lines.append(canonical_json(line) + b"\n")
    return b"".join(lines)


def test_a_visit_that_began_elsewhere_is_found_even_when_sealed_anew(honest, tmp_path):
    def forget(number, line):
        if number == 3:
            line["receipts"][0]["received"] = START.digest

    (tmp_path / "ledger.jsonl").write_bytes(rewritten(honest, forget))

    with pytest.raises(LedgerError, match="began with other weights"):
        verify(tmp_path)


def test_a_visit_that_was_not_planned_is_found_even_when_sealed_anew(honest, tmp_path):
    def elsewhere(number, line):
        if number == 3:
            line["receipts"][0]["site"] = "WEST"

    (tmp_path / "ledger.jsonl").write_bytes(rewritten(honest, elsewhere))

    with pytest.raises(LedgerError, match="not those that were planned"):
        verify(tmp_path)


def test_a_leg_run_out_of_turn_is_found_even_when_sealed_anew(honest, tmp_path):
    """Without the owner's word that a site was away, legs come in their order."""
    lines = [json.loads(raw) for raw in honest.splitlines()]
    order = [lines[0], lines[2], lines[1], *lines[3:]]

    def swap(number, line):
        line.clear()
        line.update(order[number])

    (tmp_path / "ledger.jsonl").write_bytes(rewritten(honest, swap))

    with pytest.raises(LedgerError, match="leg 2 was run out of turn"):
        verify(tmp_path)


def test_another_plan_is_found(tmp_path):
    write(tmp_path)

    with pytest.raises(LedgerError, match="was not planned"):
        verify(tmp_path, LEGS[:-1])


@pytest.mark.parametrize("place", [0, 60, -1])
def test_an_altered_baton_is_found(place, tmp_path):
    write(tmp_path)
    path = next((tmp_path / "batons").glob("*"))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)

    with pytest.raises(LedgerError, match="was altered"):
        verify(tmp_path)


def test_a_run_cannot_go_on_without_its_last_baton(tmp_path):
    ledger = write(tmp_path, LEGS[:2])
    (tmp_path / "batons" / f"{baton(2).digest}.safetensors").unlink()

    with pytest.raises(LedgerError, match="is missing"):
        ledger.last_baton()


def test_a_ledger_of_another_study_is_not_gone_on_with(tmp_path):
    write(tmp_path)
    other = Header(**{**asdict(HEADER), "study": "another"})

    with pytest.raises(LedgerError, match="another study"):
        Ledger(tmp_path, other, keep=None)


def test_the_last_two_batons_and_the_chosen_ones_are_kept(tmp_path):
    write(tmp_path, keep=frozenset({0}))

    kept = {path.stem for path in (tmp_path / "batons").glob("*")}

    assert kept == {baton(i).digest for i in (1, len(LEGS) - 1, len(LEGS))}


def test_a_batons_bytes_do_not_depend_on_the_order_of_its_arrays():
    a, b = np.arange(3.0), np.ones((2, 2), np.float32)

    assert Baton.of({"a": a, "b": b}).data == Baton.of({"b": b, "a": a}).data
    assert Baton.of(Baton.of({"b": b, "a": a}).arrays()).data == Baton.of({"a": a, "b": b}).data


def test_a_baton_has_the_bytes_that_the_safetensors_library_writes():
    arrays = {
        "model/w": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "model/é": np.float32(2.5) * np.ones(()),
        "model/seen": np.array(7),
        "model/none": np.zeros((0, 3), np.float32),
        "average/w": np.float16([1, 2, 3]),
        "model/mask": np.array([True, False]),
    }

    data = Baton.of(arrays).data

    assert data == safetensors.numpy.save({n: np.array(a, order="C") for n, a in arrays.items()})
    assert all((Baton(data).arrays()[n] == a).all() for n, a in arrays.items())


def test_a_digest_without_packing_is_that_of_the_packed_baton():
    model = {"w": np.arange(6.0).reshape(2, 3).T, "seen": np.array(7), "none": np.zeros((0, 3))}
    average = {"w": np.float32([1, 2])}

    packed = join(model=model, average=average)

    assert digest_of_parts(model=model, average=average) == packed.digest
    assert digest_of_parts(model=model) != packed.digest


def test_bytes_that_are_no_baton_are_refused():
    with pytest.raises(LedgerError, match="no baton"):
        Baton(b"PK\x03\x04 not weights").arrays()

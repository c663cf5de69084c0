"""Ten thousand altered ledgers: none is accepted, and none answered with anything but a claim."""

import json
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roundelay.errors import LedgerError
from roundelay.files.canonical import canonical_json
from roundelay.records.arm_claims import claims_on_ledger
from roundelay.records.claims import tried
from roundelay.records.evidence import RunEvidence
from roundelay.records.run_checks import check_closing_record
from roundelay.relay.chain import FIRST_PREVIOUS, chained, parse_chain
from surveys import study
from toy_runs import run_toy

SEEN = {"bytes": set(), "values": set()}

SEEDS, EACH = 100, 52
"""Hypothesis draws where each batch begins: more would take its time, not verify's."""

MANY = settings(
    max_examples=SEEDS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

VALUES = [
    None, True, False, 0, 1, -1, 2**63, 10**40, 0.5, -0.0, 1e308, "", "x", "N/A", "../../x",
    "\x00", "\u202e", "0" * 64, "f" * 64, "0" * 63, [], {}, [[]], [None], {"leg": 1}, "train",
    "absent", "NORTH", "EAST",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(module_path):
    with patch("roundelay.evaluation.intervals.RESAMPLES", 19):
        run_toy(module_path / "RUN", study(top={"arms": ("swt",)}, courier={"threads": 1}))
    return RunEvidence(module_path / "RUN")


@pytest.fixture(scope="module")
def honest(run):
    return (run.out / "arms" / "swt-0" / "ledger.jsonl").read_bytes()


def failures(run, data):
    """The claims that fail of a ledger of these bytes in the place of the honest one."""
    try:
        parse_chain(data, "ledger.jsonl")
    except LedgerError as error:
        return [str(error)]  # as its first claim says; the others needn't be asked
    arm = run.arm("swt-0")
    (arm.place / "ledger.jsonl").write_bytes(data)
    ending = tried("", "closing.json", lambda: check_closing_record(run))
    return [c.why for c in (*claims_on_ledger(arm), ending) if c.outcome == "failed"]


def must_fail(run, data):
    failed = failures(run, data)

    assert failed, data
    # A fault is a sentence of ours, not whatever Python said of it.
    assert not any("it can't be read (" in why for why in failed), failed


def test_the_honest_ledger_is_accepted(run, honest):
    assert not failures(run, honest)


def altered_bytes(honest, draw):
    kind, place = draw.randrange(6), draw.randrange(len(honest))
    lines = honest.splitlines(keepends=True)
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    if kind == 0:
        return (
            honest[:place] + bytes([honest[place] ^ (1 << draw.randrange(8))]) + honest[place + 1 :]
        )
    if kind == 1:
        return honest[:place]
    if kind == 2:
        return honest[:place] + draw.randbytes(draw.randrange(1, 5)) + honest[place:]
    if kind == 3:
        return b"".join(lines[:one] + lines[one + 1 :])
    if kind == 4:
        return honest[:place] + honest[place + draw.randrange(1, 99) :]
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def holders(value):
    """Every object and list within a value that holds something."""
    inner = value.values() if isinstance(value, dict) else value
    found = [value] if value else []
    return found + [one for part in inner if isinstance(part, dict | list) for one in holders(part)]


def altered_values(honest, draw):
    """Some value changed, dropped or added, and every line chained anew."""
    entries = [json.loads(line) for line in honest.splitlines()]
    holder = draw.choice(holders(draw.choice(entries)))
    key = draw.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    kind = draw.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[f"{key}x"] = draw.choice(VALUES)
    elif kind == 2 and isinstance(holder[key], int | float):
        holder[key] += draw.choice([1, -1, 0.25])
    else:
        fresh = [draw.random(), draw.getrandbits(64), draw.randbytes(32).hex()]
        holder[key] = draw.choice([*VALUES, *fresh])
    data, previous = b"", FIRST_PREVIOUS
    for one in entries:
        line = chained({k: v for k, v in one.items() if k not in ("previous", "digest")}, previous)
        previous = line["digest"]
        data += canonical_json(line) + b"\n"
    return data


def batch(alter, honest, seed, seen):
    """Altered ledgers, none of which was there before."""
    draw, begin = Random(seed), len(seen)
    while len(seen) < begin + EACH:
        altered = alter(honest, draw)
        if altered != honest and altered not in seen:
            seen.add(altered)
            yield altered


@MANY
@given(seed=st.integers(0, 2**64))
def test_no_ledger_with_altered_bytes_is_accepted(run, honest, seed):
    for altered in batch(altered_bytes, honest, seed, SEEN["bytes"]):
        must_fail(run, altered)


@MANY
@given(seed=st.integers(0, 2**64))
def test_no_ledger_with_altered_values_is_accepted_though_chained_anew(run, honest, seed):
    for altered in batch(altered_values, honest, seed, SEEN["values"]):
        must_fail(run, altered)


def test_a_value_may_nest_as_deep_as_it_likes(run, honest):
    for deep in ("[" * 10**5, '{"a":' * 10**5, "1" * 10**4):
        must_fail(run, honest + deep.encode() + b"\n")


def test_they_were_ten_thousand_different_ones():
    assert len(SEEN["bytes"]) >= 5000 and len(SEEN["values"]) >= 5000

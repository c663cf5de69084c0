"""Two processes at once: one of them is the first, and no third thing happens."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from attacks.fuzzed import tiny_baton
from attacks.mutations import signed_message
from roundelay.errors import RefusedError
from roundelay.network.hospital.request_handler import answer
from roundelay.network.hospital.store import pin_run
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import unpack
from roundelay.relay.baton import Baton
from surveys import surveys

AT_ONCE = 8


def side_by_side(*calls):
    """What each call gives, or the error that it raises; all begin together."""
    begin = threading.Barrier(len(calls))

    def call(one):
        begin.wait()
        try:
            return one()
        except RefusedError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_keys_that_several_draw_at_once_are_one_pair(tmp_path):
    """A site's process and its operator's command may both be the first in a fresh kit."""
    for number in range(10):
        home = tmp_path / str(number)
        drawn = side_by_side(*[lambda home=home: own_keys(home).public()] * AT_ONCE)
        assert drawn == [own_keys(home).public()] * AT_ONCE
        assert {p.name for p in (home / "keys").iterdir()} == {"sign.key", "seal.key", ".lock"}


def test_of_different_numbers_at_once_only_one_set_is_pinned(tmp_path):
    """Else a coordinator and one hospital could have two itineraries followed in one run."""
    for number in range(10):
        numbers = [surveys({"EAST": 10 + i, "WEST": 20}) for i in range(AT_ONCE)]
        found = side_by_side(
            *(lambda n=n: pin_run(tmp_path, f"r{number}", "0" * 64, n) for n in numbers)  # noqa: B023
        )
        assert found.count(None) == 1
        assert sum(isinstance(one, RefusedError) for one in found) == AT_ONCE - 1


@pytest.mark.parametrize("kind", ["train", "evaluate validation", "evaluate test"])
def test_a_request_that_comes_twice_at_once_is_answered_alike_and_done_once(fuzzed, kind):
    west, message = fuzzed.west, signed_message(*fuzzed.asked(kind), fuzzed.west.owner)
    replies = side_by_side(*[lambda: answer(west.home, message, lambda told: None)] * AT_ONCE)
    assert len(fuzzed.done) == 1
    assert len(set(replies)) == 1
    fuzzed.tidy()
    fuzzed.did_what_was_approved()


def test_other_models_at_once_are_scored_no_oftener_than_one(fuzzed):
    west = fuzzed.west
    others = [fuzzed.asked("evaluate validation", other(seed)) for seed in range(AT_ONCE)]
    messages = [signed_message(*asked, west.owner) for asked in others]
    replies = side_by_side(*(lambda m=m: answer(west.home, m, lambda told: None) for m in messages))
    heads = [unpack(reply).head for reply in replies]
    assert sum("scores" in head for head in heads) == 1
    assert sum("given for another model" in head.get("refused", "") for head in heads) == (
        AT_ONCE - 1
    )
    assert len(fuzzed.done) == 1
    fuzzed.tidy()
    fuzzed.did_what_was_approved()


def other(seed):
    """Another model of the same network."""
    return Baton.of({name: array + array.dtype.type(seed) for name, array in
                     tiny_baton().arrays().items()}).data  # fmt: skip


def test_runs_that_a_policy_allows_at_once_are_no_more_than_it_says(fuzzed):
    """One more request than the policy has runs for; they come together."""
    west = fuzzed.west
    policy = west.home / "policy.toml"
    before = policy.read_text()
    policy.write_text("[accept]\nruns = 3\n[release]\nleast_scored = 1\n")
    head, _ = fuzzed.asked("survey")
    try:
        messages = [signed_message({**head, "run": f"q{i}"}, b"", west.owner)
                    for i in range(AT_ONCE)]  # fmt: skip
        replies = side_by_side(
            *(lambda m=m: answer(west.home, m, lambda told: None) for m in messages)
        )
    finally:
        policy.write_text(before)
        for extra in (west.home / "approved").glob("*-q*.json"):
            extra.unlink()
        fuzzed.tidy()
    heads = [unpack(reply).head for reply in replies]
    assert sum("survey" in head for head in heads) == 2  # the third is r1, which was approved
    assert sum("awaiting" in head for head in heads) == AT_ONCE - 2

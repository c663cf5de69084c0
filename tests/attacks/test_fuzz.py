"""Thousands of altered messages to a hospital, most of them well signed.

Whatever comes, it answers or refuses with a sentence, soon, and keeps to its folder; nothing is
trained or scored but what was approved.
"""

import hashlib
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attacks.fuzzed import AT_ONCE, few, many, some, tiny_baton
from attacks.mutations import (
    altered,
    altered_bytes,
    as_parts,
    as_text,
    canonical,
    signed_message,
    whole,
)
from roundelay.files.arrays import pieces
from roundelay.network.wire.sealing import seal

KINDS = ("introduce", "survey", "train", "evaluate validation", "evaluate test")

MODELS = KINDS[2:]


@many
@given(rng=st.randoms(use_true_random=True))
def test_a_request_altered_and_signed_by_the_owner(fuzzed, rng):
    for _ in range(AT_ONCE):
        head, payload = fuzzed.asked(rng.choice(KINDS))
        fuzzed.tell_signed(altered(rng, head), payload)
    fuzzed.did_what_was_approved()


@some
@given(rng=st.randoms(use_true_random=True))
def test_a_study_altered_and_signed_by_the_owner(fuzzed, rng):
    for _ in range(AT_ONCE):
        head, payload = fuzzed.asked(rng.choice(("survey", "train")))
        fuzzed.tell_signed({**head, "proposal": altered(rng, head["proposal"])}, payload)
    fuzzed.did_what_was_approved()


@many
@given(rng=st.randoms(use_true_random=True))
def test_the_bytes_of_a_request_altered(fuzzed, rng):
    for _ in range(AT_ONCE):
        head, payload = fuzzed.asked(rng.choice(KINDS))
        message = signed_message(head, payload, fuzzed.west.owner)
        fuzzed.tell(as_parts(altered_bytes(rng, whole(message))))
    fuzzed.did_what_was_approved()


@some
@given(rng=st.randoms(use_true_random=True))
def test_numbers_altered_and_signed_by_their_site(fuzzed, rng):
    west = fuzzed.west
    for _ in range(AT_ONCE):
        head, payload = fuzzed.asked("train")
        numbers = altered(rng, west.survey("EAST").as_json())
        stated = {"run": "r1", "proposal": west.proposal.digest, "survey": numbers}
        signed = {"survey": numbers, "signature": west.keys_of("EAST").sign(canonical(stated))}
        fuzzed.tell_signed({**head, "surveys": {**head["surveys"], "EAST": signed}}, payload)
    # The run has not begun: EAST may say that it has more slices.
    assert all(kind == "train" and stop.slice_count == 4 for kind, stop in fuzzed.done)
    fuzzed.done.clear()


def altered_file(rng, baton):
    """A baton's own header altered, or its bytes."""
    plain = baton.data
    if rng.random() < 0.5:
        return altered_bytes(rng, plain)
    end = 8 + int.from_bytes(plain[:8], "little")
    head = as_text(altered(rng, json.loads(plain[8:end])))
    return len(head).to_bytes(8, "little") + head + plain[end:]


def other_arrays(rng, baton):
    """Well packed, of other names, types, shapes and values."""
    arrays = dict(baton.arrays())
    for _ in range(rng.randint(1, 3)):
        name = rng.choice([
            *arrays, "average/conv.weight", "optimiser/x", "sums/y.count", "x", "model/../x",
            "optimiser/step/conv.weight", "model/", "average/z",
        ])  # fmt: skip
        kind = rng.choice(("f4", "f8", "f2", "i8", "i4", "u1", "?"))
        shape = rng.choice(((), (0,), (2,), (2, 1, 3, 3), (1, 2, 3, 3), (3, 3)))
        with np.errstate(all="ignore"):
            value = np.float64(rng.choice((0, 1, -1, np.nan, np.inf, 1e38)))
            arrays[name] = np.full(shape, value).astype(kind)
    if rng.random() < 0.5:
        arrays.pop(rng.choice(sorted(arrays)))
    return b"".join(pieces(arrays))


@few
@given(rng=st.randoms(use_true_random=True))
def test_a_baton_altered_sealed_and_signed_by_its_last_holder(fuzzed, rng):
    for _ in range(AT_ONCE):
        plain = rng.choice((altered_file, other_arrays))(rng, tiny_baton())
        fuzzed.tell_signed(*fuzzed.asked(rng.choice(MODELS), plain))
    fuzzed.did_what_was_approved()


def altered_envelope(rng, sent):
    if rng.random() < 0.5:
        return altered_bytes(rng, sent)
    end = 12 + int.from_bytes(sent[8:12], "big")
    head = as_text(altered(rng, json.loads(sent[12:end])))
    return sent[:8] + len(head).to_bytes(4, "big") + head + sent[end:]


@few
@given(rng=st.randoms(use_true_random=True))
def test_an_envelope_and_its_statement_altered_and_signed_by_the_last_holder(fuzzed, rng):
    west, plain = fuzzed.west, tiny_baton()
    for _ in range(AT_ONCE):
        place = west.place(0)
        whole = seal(plain.data, {"WEST": west.proposal.roster["WEST"]}, canonical(place))
        whole = altered_envelope(rng, whole)
        sealed = hashlib.sha256(whole).hexdigest()
        statement = {**place, "returned": plain.digest, "sealed": sealed, "receipt": None}
        if rng.randint(0, 2) == 0:
            statement = altered(rng, statement)
        signature = west.keys_of("EAST").sign(canonical(statement))
        proof = {"statement": statement, "signer": "EAST", "signature": signature}
        fuzzed.tell_signed({**fuzzed.asked("train")[0], "proof": proof}, whole)
    fuzzed.did_what_was_approved()


def test_that_were_thousands_of_messages(fuzzed, record_property):
    """Runs last, of all tests in this file."""
    record_property("messages", fuzzed.told)
    assert fuzzed.told > 5500

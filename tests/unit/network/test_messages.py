"""Signed messages: read back as they were sent, and refused where a single byte is another."""

import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attacks.mutations import as_parts, whole
from roundelay.errors import RefusedError
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import Parts, pack, unpack

integers = st.integers(-(2**63), 2**63 - 1)

heads = st.dictionaries(
    st.text(max_size=5).filter(lambda key: key != "payload"),
    st.none() | st.booleans() | integers | st.text(max_size=5) | st.lists(integers),
    max_size=4,
)


@pytest.fixture(scope="module")
def keys(module_path):
    return own_keys(module_path / "sender")


def taken(data, keys):
    """What a receiver who knows the sender's keys takes a message for."""
    message = unpack(data if isinstance(data, Parts) else as_parts(data))
    message.check(keys.public(), "the sender")
    return message


@settings(deadline=None, max_examples=50)
@given(heads, st.binary(max_size=50))
def test_a_message_is_read_back_as_it_was_sent(keys, head, payload):
    message = taken(pack(head, payload, keys), keys)

    assert {key: value for key, value in message.head.items() if key != "payload"} == head
    assert message.payload == payload


def test_any_altered_byte_is_refused(keys):
    honest = whole(pack({"ask": "train", "leg": 3}, b"weights", keys))

    for place in range(len(honest)):
        for flip in (1, 0x20, 0x80):
            altered = honest[:place] + bytes([honest[place] ^ flip]) + honest[place + 1 :]
            with pytest.raises(RefusedError):
                taken(altered, keys)


def test_any_missing_or_added_byte_is_refused(keys):
    honest = whole(pack({"ask": "train", "leg": 3}, b"weights", keys))

    for place in range(len(honest)):
        for other in (honest[:place], honest[:place] + honest[place + 1 :], honest[place:]):
            if other != honest:
                with pytest.raises(RefusedError):
                    taken(other, keys)
    with pytest.raises(RefusedError, match="cut or altered"):
        unpack(as_parts(honest + b"\0"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_bytes_of_a_stranger_are_refused_and_nothing_else_happens(data):
    with pytest.raises(RefusedError, match="cut or altered"):
        unpack(as_parts(data))


def framed(head):
    """A head of a stranger's making, in a message whose lengths are right."""
    return len(head).to_bytes(4, "big") + head + bytes(64)


@pytest.mark.parametrize(
    "head",
    [
        b"[]", b"{}", b"null", b"17", b'"payload"', b'{"payload":null}', b'{"payload":[1]}',
        b"{", b"\xff\xfe", json.dumps({"payload": "0" * 64}).encode(), b"[" * 100_000,
        b'{"payload":' + b"9" * 5000 + b"}",
    ],
    ids=lambda head: repr(head[:20]),
)  # fmt: skip
def test_a_head_of_another_shape_is_refused(head):
    with pytest.raises(RefusedError, match="cut or altered"):
        unpack(Parts(framed(head)))


def test_a_message_that_somebody_else_signed_is_refused_and_says_whose_it_should_be(keys, tmp_path):
    message = unpack(pack({"ask": "survey"}, b"", own_keys(tmp_path / "stranger")))

    with pytest.raises(RefusedError, match="isn't signed by EAST"):
        message.check(keys.public(), "EAST")


def test_the_payload_of_a_message_can_not_be_put_under_another_head(keys):
    """Both halves are honest and of one sender; together they were never sent."""
    one, other = pack({"leg": 1}, b"first", keys), pack({"leg": 2}, b"second", keys)

    with pytest.raises(RefusedError, match="cut or altered"):
        unpack(Parts(one.head, other.payload))


@pytest.mark.parametrize(
    "value",
    ["1e999", "-1e999", "NaN", "Infinity", str(2**63), "9" * 5000, '"\\ud800"', '{"\\udfff": 1}',
     "[" * 30 + "]" * 30, '{"a":' * 30 + "1" + "}" * 30, "[" * 90_000],
)  # fmt: skip
def test_what_json_can_write_and_no_party_writes_is_refused(keys, value):
    """Well signed: what is behind the signature would have to think of each of them."""
    digest = hashlib.sha256(b"").hexdigest()
    head = f'{{"payload": "{digest}", "one": {value}}}'.encode()
    message = len(head).to_bytes(4, "big") + head + bytes.fromhex(keys.sign(head))
    with pytest.raises(RefusedError, match="cut or altered"):
        unpack(Parts(message))

"""A value has one spelling, whoever made it and in whatever order."""

import hashlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundelay.files.canonical import canonical_json, digest_of

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def turned(value):
    """The same value with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value


def test_the_spelling_is_the_one_that_is_promised():
    value = {"b": [1, 1.5, None, True], "a": {"ö": "\n", "": -0.1}}

    assert canonical_json(value) == '{"a":{"":-0.1,"ö":"\\n"},"b":[1,1.5,null,true]}'.encode()


@settings(max_examples=60, deadline=None)
@given(values)
def test_the_order_of_keys_has_no_say_and_reading_gives_the_value_back(value):
    spelled = canonical_json(value)

    assert canonical_json(turned(value)) == spelled
    assert json.loads(spelled) == value
    assert canonical_json(json.loads(spelled)) == spelled
    assert digest_of(value) == hashlib.sha256(spelled).hexdigest()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_has_no_digest(value):
    with pytest.raises(ValueError, match="JSON"):
        digest_of({"dice": value})

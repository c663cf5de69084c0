"""Arrays as bytes and back, held against the library of the format."""

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from roundelay.files.arrays import DTYPES, LONGEST_HEADER, pieces, read_arrays

ARRAYS = st.dictionaries(
    st.text(min_size=1, max_size=6).filter(str.isprintable),
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
    ),
    max_size=5,
)
SAMPLE = b"".join(pieces({"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 2), np.uint8)}))


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert (array.dtype, array.shape) == (theirs[name].dtype, theirs[name].shape)
        assert array.tobytes() == theirs[name].tobytes()


@given(ARRAYS)
def test_they_are_those_that_the_library_reads(arrays):
    data = b"".join(pieces(arrays))
    found, narrow = read_arrays(data)
    same(found, safetensors.numpy.load(data))
    same(found, {name: np.asarray(array) for name, array in arrays.items()})
    assert not narrow


@settings(max_examples=400)
@given(st.data())
def test_altered_bytes_are_read_as_the_library_reads_them_or_refused(data):
    altered = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(altered) - 1))
        altered[place] = data.draw(st.integers(0, 255))
    altered = bytes(altered[: data.draw(st.integers(0, len(altered)))])
    try:
        found, narrow = read_arrays(altered)
    except ValueError:
        return
    if not narrow:
        same(found, safetensors.numpy.load(altered))


def spelled(header, data=bytes(8)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"", bytes(7), spelled(b"[]"), spelled(b"{"), spelled(b"\xff"), spelled({"a": 1}),
        (10**12).to_bytes(8, "little") + b"{}", b"\xff" * 8 + b"{}",
        spelled({"a": {**GOOD, "data_offsets": [0, 9]}}, bytes(9)),
        spelled({"a": {**GOOD, "data_offsets": [-8, 0]}}),
        spelled({"a": {**GOOD, "data_offsets": 8}}), spelled({"a": {**GOOD, "data_offsets": [0]}}),
        spelled({"a": {**GOOD, "data_offsets": [8, 16]}}, bytes(16)),
        spelled({"a": {**GOOD, "shape": [-2]}}), spelled({"a": {**GOOD, "shape": [2**70]}}),
        spelled({"a": {**GOOD, "shape": [True, 2]}}), spelled({"a": {**GOOD, "dtype": "F8"}}),
        spelled({"a": {**GOOD, "more": 1}}), spelled({"a": GOOD, "b": GOOD}),
        spelled({"a": GOOD, "b": GOOD}, bytes(16)),
        spelled({"a": {**GOOD, "data_offsets": [0, 4]}}), spelled({"a": GOOD},
        bytes(7)), spelled({"a": GOOD}, bytes(9)),
        spelled({"__metadata__": {"a": "b"}}, b""),
        spelled(b'{"a":' + json.dumps(GOOD).encode() + b',"a":' + json.dumps(GOOD).encode() + b"}"),
        spelled(b'{"a":' * 100_000), spelled(json.dumps({"a": GOOD}).encode("utf-16")),
        spelled(b'{"\\ud800":' + json.dumps(GOOD).encode() + b"}"), spelled({"\x1b[2J": GOOD}),
        spelled({"a" * 501: GOOD}), spelled({"a": GOOD}) + b" " * LONGEST_HEADER,
        (LONGEST_HEADER + 1).to_bytes(8, "little") + b" " * (LONGEST_HEADER + 1),
    ],
)  # fmt: skip
def test_what_is_none_is_refused(data):
    with pytest.raises(ValueError):  # in words of JSON, of pydantic or ours
        read_arrays(data)


def test_of_a_header_full_of_faults_the_first_is_told_as_one_line():
    many = ",".join(f'"\\u001b{number}":{{}}' for number in range(50_000))
    for header in ("{%s}" % many, '{%s,"\\u001b9":{}}' % many):  # noqa: UP031
        with pytest.raises(ValueError) as told:
            read_arrays(spelled(header.encode(), b""))
        assert len(str(told.value)) < 200
        assert str(told.value).isprintable()


def test_they_are_views_that_nobody_can_write():
    found, _ = read_arrays(SAMPLE)
    assert np.shares_memory(found["a"], np.frombuffer(SAMPLE, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0] = 1.0

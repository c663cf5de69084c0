"""What a run left behind is read back whole and of its shape, or refused with its name."""

import errno
import os
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from roundelay.errors import LedgerError
from roundelay.files import reading
from roundelay.files.reading import parse_json, read_bytes, read_json


class Shape(BaseModel):
    name: str
    numbers: list[float]


SHAPE = TypeAdapter(Shape)


def test_values_are_as_they_stand_in_the_file(tmp_path):
    path = tmp_path / "v.json"
    path.write_text('{"name": "ö", "numbers": [1, 2.5], "more": null}')

    found = read_json(path, SHAPE, LedgerError)

    assert found == {"name": "ö", "numbers": [1, 2.5], "more": None}
    assert type(found["numbers"][0]) is int


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"1", b'"text"', b'{"name": "x"', b"\xff\xfe\x00", b"\0" * 100,
        b'{"name": 1, "numbers": []}', b'{"name": "x", "numbers": {}}',
        b'{"name": "x", "numbers": ["a"]}', b"[" * 100_000, b'{"a":' * 100_000, b"1" * 100_000,
        b'{"name": "\xed\xa0\x80", "numbers": []}', b'{"name": "\\ud800", "numbers": []}',
    ],
    ids=lambda data: repr(data[:24]),
)  # fmt: skip
def test_any_other_bytes_are_damaged(tmp_path, data):
    path = tmp_path / "v.json"
    path.write_bytes(data)

    with pytest.raises(LedgerError, match=r"v\.json is damaged \(.+\)\. Put it back"):
        read_json(path, SHAPE, LedgerError)


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), TypeError("no")])
def test_what_cannot_be_built_from_the_values_is_damaged_too(tmp_path, error):
    path = tmp_path / "v.json"
    path.write_text('{"name": "x", "numbers": []}')

    def build(_):
        raise error

    with pytest.raises(LedgerError, match=r"v\.json is damaged \(.*no.*\)"):
        read_json(path, SHAPE, LedgerError, build)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "no such file"), ("", "is a directory"), ("nul\0", "null"), ("y" * 300, "long"),
        ("ring", "too many levels"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_said(tmp_path, name, says):
    (tmp_path / "ring").symlink_to("ring")

    with pytest.raises(LedgerError, match=f"can't be read: .*{says}"):
        read_bytes(tmp_path / name, LedgerError)


def test_a_disk_that_breaks_while_it_is_read_is_said(tmp_path, monkeypatch):
    path = tmp_path / "v.json"
    path.touch()

    class Broken:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, _):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "open", lambda *_: Broken())
    with pytest.raises(LedgerError, match=r"v\.json can't be read: input/output error"):
        read_bytes(path, LedgerError)


def test_a_file_beyond_all_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST", 5_000_000)
    (tmp_path / "large").write_bytes(bytes(5_000_001))

    with pytest.raises(LedgerError, match="large can't be read: it has over 5 MB"):
        read_bytes(tmp_path / "large", LedgerError)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"c": 0, "d": 1, "c": 0}}]'])
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(ValueError, match="stands twice"):
        parse_json(text)

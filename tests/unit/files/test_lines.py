"""Files that grow by a line."""

import os

import pytest

from roundelay.errors import MachineError
from roundelay.files import lines
from roundelay.files.lines import append_line, whole_lines


def test_a_line_that_was_cut_gives_way_to_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 4)
    path = tmp_path / "log.txt"
    assert whole_lines(path) == []
    append_line(path, "first")
    path.write_bytes(path.read_bytes() + b"a cut line, longer than a block")
    assert whole_lines(path) == ["first"]
    append_line(path, "second\nin one")
    assert path.read_bytes() == b"first\nsecond in one\n"


def test_a_file_that_is_one_cut_line_begins_anew(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"cut")
    append_line(path, "first")
    assert path.read_bytes() == b"first\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_or_a_folder_in_its_place_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(MachineError):
            append_line(place, "text")
        with pytest.raises(MachineError):
            whole_lines(place)

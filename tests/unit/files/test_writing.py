"""Files are there whole or not at all: under a kill, a full disk, and a value that is no JSON."""

import errno
import math
import os
import signal
import subprocess
import sys
import time

import pytest

from roundelay.errors import DiskFullError
from roundelay.files.writing import write_bytes, write_json, write_text

OLD = b"old" * 1000


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    return path


def test_a_file_is_written_with_the_folders_above_it_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"

    write_bytes(path, b"one")
    write_bytes(path, b"two")

    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_text_is_utf_8_and_lines_end_as_they_were_given(tmp_path):
    write_text(tmp_path / "t.csv", "Grün\nö\n")

    assert (tmp_path / "t.csv").read_bytes() == b"Gr\xc3\xbcn\n\xc3\xb6\n"


KILLED = """
import os, signal, sys
from pathlib import Path
from roundelay.files.writing import write_bytes
os.{name} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_bytes(Path(sys.argv[1]), b"new" * 1000)
"""


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_kill_before_the_new_file_stands_leaves_the_old_one(old, name):
    code = KILLED.format(name=name)
    done = subprocess.run([sys.executable, "-c", code, str(old)], check=False)

    assert done.returncode == -signal.SIGKILL
    assert old.read_bytes() == OLD
    write_bytes(old, b"again")
    assert old.read_bytes() == b"again"


LOOP = """
import sys
from pathlib import Path
from roundelay.files.writing import write_bytes
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    write_bytes(path, bytes([number % 251]) * (1 << 20))
"""


def test_killed_at_any_moment_the_file_is_whole(tmp_path):
    path = tmp_path / "file.bin"
    for pause in (0.05, 0.11, 0.17, 0.23):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", LOOP, str(path)])
        end = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < end, "nothing was written"
            time.sleep(0.005)
        time.sleep(pause)
        process.kill()
        process.wait()
        data = path.read_bytes()
        assert len(data) == 1 << 20 and len(set(data)) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_the_old_file_alone(old, monkeypatch, number):
    def fsync(_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(DiskFullError, match=r"file\.bin \(5 bytes\) was not written") as caught:
            write_bytes(old, b"newer")

    assert caught.value.exit_code == 2
    assert old.read_bytes() == OLD
    assert [p.name for p in old.parent.iterdir()] == ["file.bin"]


LIMITED = """
import resource, sys
from pathlib import Path
from roundelay.files.writing import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
write_bytes(Path(sys.argv[1]), bytes(1_000_000))
"""


def test_a_write_that_ends_half_way_for_another_reason_says_which(old):
    """Here the file may not grow as large: the first tenth was written when it failed."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(old)], capture_output=True, text=True, check=False
    )

    said = done.stderr.splitlines()[-1]
    assert "MachineError" in said and str(old) in said and "file too large" in said
    assert old.read_bytes() == OLD
    assert [p.name for p in old.parent.iterdir()] == ["file.bin"]


def test_json_is_indented_in_the_order_given(tmp_path):
    write_json(tmp_path / "v.json", {"b": [1, None], "a": "ö"})

    assert (tmp_path / "v.json").read_text() == '{\n "b": [\n  1,\n  null\n ],\n "a": "ö"\n}\n'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_json_and_nothing_is_written(old, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(old, {"dice": [0.5, value]})

    assert old.read_bytes() == OLD
    assert [p.name for p in old.parent.iterdir()] == ["file.bin"]

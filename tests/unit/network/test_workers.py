"""The process that answers a site's requests: it lives from one to the next, without torch until a
request needs it, and its end is told."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from parties import until
from roundelay.network.hospital.store import Settings, read_settings, write_settings
from roundelay.network.hospital.worker import _put
from roundelay.network.hospital.workers import WorkerLostError, Workers
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import Parts, pack, unpack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at a process's libraries")


@pytest.fixture
def workers(tmp_path):
    write_settings(tmp_path, Settings("WEST", str(tmp_path), "lgg"))
    found = Workers(tmp_path)
    yield found
    found.close()


def processes():
    return [p for p in psutil.Process().children() if "roundelay.network.hospital.worker" in
            " ".join(p.cmdline())]  # fmt: skip


def introduce(workers, home, ticket):
    asked = pack({"ask": "introduce", "site": "WEST", "time": 1.0}, b"", own_keys(home))
    done = workers.answer(ticket, asked.head, None, lambda told: None, needs_torch=False)
    head = unpack(Parts(done.head)).head
    assert (head["site"], head["request"]) == ("WEST", asked.key)
    return done


def test_one_process_answers_one_request_after_another_without_torch(workers, tmp_path):
    (process,) = until(processes, 20)  # what has just been started has no words yet
    for ticket in ("1" * 32, "2" * 32):
        done = introduce(workers, tmp_path, ticket)
        assert (done.payload, done.digest, done.size) == (None, "", 0)

    assert processes() == [process]
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "python" in maps and "torch" not in maps
    assert not list((tmp_path / "outgoing").iterdir())
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["asked"] for line in lines] == ["introduce", "introduce"]


def test_a_process_that_is_killed_is_told_of_and_another_takes_its_place(workers, tmp_path):
    (process,) = until(processes, 20)  # what has just been started has no words yet
    lost = []

    def ask():
        try:
            introduce(workers, tmp_path, "1" * 32)
        except WorkerLostError as error:
            lost.append(str(error))

    process.suspend()
    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: workers._busy, 20)
    workers.end("1" * 32)
    asking.join(20)

    assert "ended (-9)" in lost[0]
    introduce(workers, tmp_path, "2" * 32)
    assert process.pid not in [one.pid for one in processes()]


def test_processes_end_with_the_one_that_started_them(tmp_path):
    write_settings(tmp_path, Settings("WEST", str(tmp_path), "lgg"))
    workers = Workers(tmp_path)
    (process,) = until(processes, 20)  # what has just been started has no words yet
    worker = workers._idle[0]
    worker.process.stdin.close()

    assert worker.process.wait(20) == 1
    assert not process.is_running()
    workers.close()


@pytest.mark.parametrize(
    "module", ["roundelay.network.hospital.worker", "roundelay.network.flare.starting"]
)
def test_what_waits_has_loaded_no_reader_of_images_and_no_torch(module):
    """Each of them takes a part of a second, or seconds, of every site's start."""
    late = "{'torch', 'nibabel', 'pydicom', 'scipy', 'PIL', 'matplotlib'}"
    code = f"import sys, {module}; assert not {late} & sys.modules.keys()"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_answer_that_is_kept_leaves_as_another_name_of_its_file(tmp_path):
    kept, to = tmp_path / "kept", tmp_path / "to"
    kept.write_bytes(b"weights")

    _put(Parts(b"head", b"weights", file=kept), to)
    assert to.samefile(kept)
    _put(Parts(b"head", b"weights", file=tmp_path / "gone"), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"weights"


def test_where_visits_compute_is_kept(tmp_path):
    settings = Settings("WEST", str(tmp_path), "lgg", device="cuda:1")
    write_settings(tmp_path, settings)

    assert read_settings(tmp_path) == settings

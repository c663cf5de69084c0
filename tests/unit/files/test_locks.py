"""A lock holds, is waited for, and ends with its process, also where flock is refused."""

import errno
import os
import subprocess
import sys
import threading
import time

import filelock
import pytest

from roundelay.errors import LockHeldError, RunFolderError
from roundelay.files.locks import SOFT, take_lock
from roundelay.network.hospital.store import one_at_a_time
from roundelay.records.layout import locked

REFUSALS = [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL]

HOLDER = """
import fcntl, os, sys, time
from pathlib import Path
from roundelay.files.locks import take_lock
def refuse(*_):
    raise OSError(int(sys.argv[2]), "refused")
if int(sys.argv[2]):
    fcntl.flock = refuse
with take_lock(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def refused(monkeypatch):
    """A file system that refuses flock."""
    fcntl = pytest.importorskip("fcntl")

    def use(number=errno.ENOLCK):
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", refuse)

    return use


@pytest.fixture
def holder():
    """Start a process that holds a lock; it is killed as a power cut would."""
    begun = []

    def hold(path, refusal=0):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), str(refusal)], stdout=subprocess.PIPE
        )
        begun.append(process)
        assert process.stdout.readline().strip() == b"held"
        return process

    yield hold
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("refusal", [0, errno.ENOLCK])
def test_what_another_process_holds_is_refused_at_once_and_free_once_it_is_killed(
    tmp_path, holder, refused, refusal
):
    path = tmp_path / ".lock"
    process = holder(path, refusal)
    if refusal:
        refused(refusal)

    with pytest.raises(LockHeldError, match=r"Another process holds .*\.lock") as caught:
        take_lock(path, wait=False)
    assert not caught.value.left
    process.kill()
    process.wait()

    with take_lock(path, wait=False):
        assert path.exists()


@pytest.mark.parametrize("number", [0, *REFUSALS])
def test_a_lock_is_waited_for_until_it_is_let_go(tmp_path, refused, number):
    path, order = tmp_path / ".lock", []
    if number:
        refused(number)

    def second():
        with take_lock(path, wait=True):
            order.append("second")

    with take_lock(path, wait=True):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(10)

    assert order == ["first", "second"]
    assert not (tmp_path / f".lock{SOFT}").exists()


def test_what_flock_left_behind_is_no_lock_where_flock_is_refused(tmp_path, refused):
    path = tmp_path / ".lock"
    with take_lock(path, wait=False):
        pass
    refused()

    with take_lock(path, wait=False):
        assert (tmp_path / f".lock{SOFT}").exists()


@pytest.mark.parametrize("wait", [True, False])
def test_what_cannot_be_taken_over_from_a_killed_process_is_named(
    tmp_path, holder, refused, monkeypatch, wait
):
    path = tmp_path / ".lock"
    process = holder(path, errno.ENOLCK)
    process.kill()
    process.wait()
    refused()
    # As NFS does: it can't exchange two names.
    monkeypatch.setattr(filelock.SoftFileLock, "_try_break_stale_lock", lambda _: None)

    with pytest.raises(LockHeldError, match=r"\.lock\.held was left .* remove that file") as caught:
        take_lock(path, wait=wait)
    assert caught.value.left

    (tmp_path / f".lock{SOFT}").unlink()
    with take_lock(path, wait=wait):
        pass


def test_a_process_of_another_machine_is_taken_to_be_alive(tmp_path, refused):
    refused()
    (tmp_path / f".lock{SOFT}").write_text("999999999\nanother-machine\n")

    with pytest.raises(LockHeldError, match="Another process") as caught:
        take_lock(tmp_path / ".lock", wait=False)
    assert not caught.value.left


def test_other_faults_stay_what_they_are(tmp_path, refused):
    refused(errno.EIO)

    with pytest.raises(OSError) as caught:
        take_lock(tmp_path / ".lock", wait=False)
    assert caught.value.errno == errno.EIO
    assert not (tmp_path / f".lock{SOFT}").exists()


def test_a_run_folder_says_that_a_run_is_going_on(tmp_path, holder):
    out = tmp_path / "RUN"
    out.mkdir()
    holder(out / ".lock")

    with pytest.raises(RunFolderError, match="Another process is running in"), locked(out):
        pass


def test_a_run_folder_names_the_lock_that_a_killed_run_left(tmp_path, holder, refused, monkeypatch):
    out = tmp_path / "RUN"
    out.mkdir()
    process = holder(out / ".lock", errno.ENOLCK)
    process.kill()
    process.wait()
    refused()
    monkeypatch.setattr(filelock.SoftFileLock, "_try_break_stale_lock", lambda _: None)

    with pytest.raises(RunFolderError, match="was left by a process that was killed"), locked(out):
        pass


def test_a_site_answers_one_after_the_other(tmp_path):
    home, order = tmp_path / "roundelay", []

    def second():
        with one_at_a_time(home):
            order.append("second")

    with one_at_a_time(home):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        order.append("first")
    waiting.join(10)

    assert order == ["first", "second"]

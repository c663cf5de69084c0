"""A file that one process holds at a time, on every system, also where flock is refused."""

import errno
import socket
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import filelock
import psutil

from roundelay.errors import LockHeldError

REFUSED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}
"""What mounts over a network, NFS or SMB, may say to flock."""

SOFT = ".held"
"""Ends the name of the file that stands for a lock there. Its being there is the lock, so it can't
be the file of flock, which stays and is empty."""

POLL = 0.1
"""Seconds between two looks at a lock."""


def take_lock(path: Path, *, wait: bool) -> AbstractContextManager[Any]:
    """Hold the lock at `path` until the context is left, or the process ends.

    Waits for whoever else holds it, or raises LockHeldError. Where flock is refused, a file beside
    `path` names its holder: filelock takes it over from a process of this machine that was killed,
    and where the file system doesn't let it, LockHeldError says what to remove.
    """
    try:
        return _acquire(filelock.FileLock(path, fallback_to_soft=False), wait=wait)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
    return _acquire(filelock.SoftFileLock(path.with_name(path.name + SOFT)), wait=wait)


def _acquire(lock: filelock.BaseFileLock, *, wait: bool) -> AbstractContextManager[Any]:
    file = Path(lock.lock_file)
    try:
        # Earlier filelocks remove a killed process's file at the first look, and take the lock at
        # the second: so there is always a second one.
        patience = -1 if wait else 2 * POLL
        return lock.acquire(patience, POLL, cancel_check=lambda: _is_left(file))
    except filelock.Timeout as error:
        raise LockHeldError(file, left=_is_left(file)) from error


def _is_left(file: Path) -> bool:
    """Whether the file names a process of this machine that has ended without removing it."""
    try:
        found = file.read_text(encoding="utf-8")
        pid, machine, *_ = found.splitlines()
        # A container's name has more behind it. It may be another's: so it is said, not removed.
        if machine.partition("?")[0] != socket.gethostname() or psutil.pid_exists(int(pid)):
            return False
        return file.read_text(encoding="utf-8") == found  # not let go in the meantime
    except (OSError, ValueError):
        return False

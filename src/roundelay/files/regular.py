"""What is opened is a file: a pipe would be waited for without an end, and a device never ends."""

import errno
import hashlib
import stat
from pathlib import Path


def refuse_special(path: Path) -> None:
    """Raise OSError where neither a file nor a folder lies there, links followed.

    A folder is left to who opens it, whom the system tells of it.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "It is no file but a pipe, a socket or a device", str(path))


def plain_bytes(path: Path) -> bytes:
    """All bytes of a file. Raises OSError where it can't be read, or is none."""
    refuse_special(path)
    return path.read_bytes()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError where it can't be read, or is none."""
    refuse_special(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Files that are there whole or not at all."""

import errno
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from roundelay.errors import DiskFullError
from roundelay.files.mishap import FULL, explained

UNSYNCED = {
    errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES,
    errno.EPERM, errno.EISDIR, errno.ENOTTY,
}  # fmt: skip
"""What a file system says that syncs files but no folders: SMB, FUSE, shared folders of virtual
machines."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write under a temporary name, sync, rename: a kill leaves the old file or the new.

    Raises MachineError, with nothing left behind, where the machine refuses it: DiskFullError where
    there is no room.
    """
    write_pieces(path, [data], len(data))


def write_pieces(path: Path, pieces: Iterable[bytes], size: int) -> None:
    """As `write_bytes` does, what comes in pieces; `size` is how many bytes, or about how many.

    What goes wrong while a piece is made leaves nothing behind either.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        made = _make_folder(path.parent)
        try:
            with temporary.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):  # the first error is the one to tell
                temporary.unlink(missing_ok=True)
            raise
        for folder in (path.parent, *made):
            _sync_folder(folder)
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(
                f"The disk is full: {path} ({size:,} bytes) was not written."
                " Make room and try again."
            ) from error
        raise explained(error, path) or error from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, keys in the order given; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def _make_folder(folder: Path) -> list[Path]:
    """Make it with all that is missing above; the folders that got an entry by that."""
    made = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        made.append(one.parent)
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut, not only the bytes. Windows opens no folder.
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise

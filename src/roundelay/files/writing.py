"""Files that are there whole or not at all."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from roundelay.errors import DiskFullError


def write_bytes(path: Path, data: bytes) -> None:
    """Write under a temporary name, sync, rename: a kill leaves the old file or the new.

    Raises DiskFullError, with nothing left behind, where there is no room.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full: {path} ({len(data):,} bytes) was not written.\n"
                "What was finished before is kept. Make room, then go on with --resume."
            ) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, keys in the order given; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def _sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut, not only the bytes. Windows opens no folder.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

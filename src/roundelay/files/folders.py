"""Folders of files that are there whole or not at all."""

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from roundelay.errors import DiskFullError

UNFINISHED = ".unfinished-"
"""How the name of a folder begins that is being written."""


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files under a temporary name beside `folder`, sync, rename.

    A kill leaves at most what `clear_unfinished` removes. Raises DiskFullError, with nothing left
    behind, where there is no room.
    """
    temporary = folder.with_name(f"{UNFINISHED}{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        for name, data in files.items():
            with (temporary / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        temporary.rename(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full: {folder} was not written. What was finished before is kept."
            ) from error
        raise


def clear_unfinished(place: Path) -> None:
    """Remove what a process left that was killed while it wrote into `place`."""
    for path in place.iterdir():
        if path.name.startswith(UNFINISHED):
            shutil.rmtree(path, ignore_errors=True)
        elif path.name.startswith(".") and path.name.endswith(".tmp"):
            path.unlink()

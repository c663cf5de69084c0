"""Headers that this process has read already: a run looks for its patients more than once."""

import time
from functools import lru_cache
from pathlib import Path

from roundelay.data.formats.dicom_header import Header, read_header
from roundelay.errors import DataError

HEADERS = 100_000
"""Files whose headers are kept, each about a kilobyte."""

SETTLED = 2.0
"""Seconds after which any further change of a file is sure to show in its time."""


def known_header(path: Path) -> Header:
    """As `read_header`; what was read of a file that is unchanged since is not parsed again."""
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error}.") from error
    if time.time() - found.st_mtime < SETTLED:
        return read_header(path)
    return _header(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=HEADERS)
def _header(path: Path, *_unchanged: int) -> Header:
    return read_header(path)

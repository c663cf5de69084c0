"""A file's bytes where they lie: as large as a model, and never copied to be read."""

import mmap
from pathlib import Path
from typing import cast

from roundelay.files.regular import refuse_special


def mapped(path: Path) -> bytes:
    """A view of all bytes of a file, which must not be changed meanwhile. Raises OSError."""
    refuse_special(path)
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""  # of nothing there is no view
        return cast(bytes, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))

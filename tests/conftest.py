"""Settings that must stand before torch is imported, and room on the disk."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

# Two test processes share two cores: threads that wait for each other by spinning would slow both.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def module_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Like `tmp_path`, for all tests of a file. Removed after them: models soon fill a disk."""
    path = tmp_path_factory.mktemp("module")
    yield path
    shutil.rmtree(path)

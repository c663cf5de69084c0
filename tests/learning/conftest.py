"""A tiny cohort, and one thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from roundelay.phantom.cohort import make_toy

SITES = {"NORTH": 3, "EAST": 2}


@pytest.fixture(scope="module")
def root(module_path: Path) -> Path:
    return make_toy(module_path / "data", seed=0, patients=SITES, slices=4, size=64)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

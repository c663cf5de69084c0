"""Settings that must stand before torch is imported, and room on the disk."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Two test processes share two cores: threads that wait for each other by spinning would slow both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same drawn inputs in every run: what a search finds must not stop somebody else's commit. To
# search:  python -m pytest --hypothesis-profile=search --hypothesis-seed=N
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", print_blob=True)
settings.load_profile("same")


@pytest.fixture(scope="module")
def module_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Like `tmp_path`, for all tests of a file. Removed after them: models soon fill a disk."""
    path = tmp_path_factory.mktemp("module")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def few_resamples() -> Iterator[None]:
    """Intervals that take no time, where a test looks at none of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roundelay.evaluation.intervals.RESAMPLES", 19)
        yield


@pytest.fixture(scope="module")
def toy_run(module_path: Path, few_resamples: None) -> Path:
    """A finished run by toy couriers, for tests that copy it."""
    from toy_runs import run_toy  # torch comes with it: after the settings above

    run_toy(module_path / "RUN")
    return module_path / "RUN"


@pytest.fixture(autouse=True, scope="session")
def _draw_pages_at_the_end_alone() -> Iterator[None]:
    """A page after each round takes as long as a toy's training; test_refresh has those pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roundelay.running.run.Refresh.after_leg", lambda *_: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave nothing in the user's cache, and find nothing there; other processes neither."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


LONGEST = (
    "end_to_end/test_between_hospitals.py", "couriers/test_hospitals.py", "attacks",
    "end_to_end/test_command_line.py", "couriers/test_conformance.py",
    "end_to_end/test_examples.py", "unit/learning", "end_to_end", "golden",
)  # fmt: skip
"""Files and folders whose tests take longest, in the order in which to begin them."""

GROUPS = {"unit/learning": "others", "unit/evaluation": "others"}
"""Folders that compare with the same heavy libraries (MONAI, smp), loaded once on one worker."""

SINGLY = ("golden",)
"""Folders whose tests share nothing: any worker may take the next one."""


class InOrder(LoadScopeScheduling):
    """A file's tests stay on one worker, which makes their fixtures once."""

    def _split_scope(self, nodeid: str) -> str:
        place = nodeid.partition("::")[0].removeprefix("tests/")
        if place.startswith(SINGLY):
            return nodeid
        return next((name for of, name in GROUPS.items() if place.startswith(of)), place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InOrder:
    return InOrder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files begin first: so the last tests are short ones, and all workers end together."""
    tests = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        place = item.path.relative_to(tests).as_posix()
        known = (rank for rank, name in enumerate(LONGEST) if place.startswith(name))
        return next(known, len(LONGEST))

    items.sort(key=rank)

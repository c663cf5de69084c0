"""The cache folder: where the system wants it, and no run is lost where there is none."""

import sys

import pytest

from roundelay.errors import DataError, UserError
from roundelay.files import cache
from roundelay.files.cache import cache_folder
from roundelay.learning import machine
from roundelay.learning.machine import find_machine
from roundelay.phantom.cohort import make_toy, phantom_root

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")


@pytest.fixture(autouse=True)
def no_setting(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


@pytest.fixture
def probes(monkeypatch):
    """Counts how often the machine is measured."""
    made = []
    monkeypatch.setattr(machine, "_fastest", lambda: made.append(1) or (False, True))
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: False)
    return made


@linux
def test_the_cache_lies_in_the_home_folder_or_where_xdg_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "roundelay"
    assert phantom_root(0).parent == cache_folder()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere" / "roundelay"


@linux
def test_the_probe_is_kept(tmp_path, monkeypatch, probes):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert find_machine("auto") == find_machine("auto")
    assert len(probes) == 1
    assert (tmp_path / ".cache" / "roundelay" / "probe.json").exists()


@linux
@pytest.mark.parametrize("home", ["/dev/null", "/proc"])
def test_a_probe_that_cannot_be_kept_is_made_again(monkeypatch, probes, home):
    monkeypatch.setenv("HOME", home)

    assert find_machine("auto") == find_machine("auto")
    assert len(probes) == 2


def test_a_user_without_a_home_is_told_what_to_set(tmp_path, monkeypatch, probes):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache, "user_cache_path", lambda *_, **__: tmp_path.relative_to("/"))

    with pytest.raises(UserError, match="Set XDG_CACHE_HOME"):
        phantom_root(0)
    assert find_machine("auto").channels_last
    assert list(tmp_path.iterdir()) == []


@linux
@pytest.mark.parametrize("root", ["/dev/null/cohort", "/proc/cohort"])
def test_a_cohort_that_cannot_be_kept_is_said(tmp_path, root):
    with pytest.raises(DataError, match=rf"can't be kept in {root}: .*\nGive another folder"):
        make_toy(tmp_path / root, patients={"NORTH": 1})

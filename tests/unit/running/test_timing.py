"""Peak memory in bytes, whatever unit the system counts in."""

import sys
from types import SimpleNamespace

import psutil
import pytest

from roundelay.running import timing
from roundelay.running.timing import peak_memory

resource = pytest.importorskip("resource")


@pytest.mark.parametrize(("platform", "bytes_"), [("linux", 7 * 1024), ("darwin", 7)])
def test_the_unit_of_the_system_is_known(monkeypatch, platform, bytes_):
    monkeypatch.setattr(timing.sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=7))

    assert peak_memory() == bytes_


def test_windows_is_asked_without_resource(monkeypatch):
    monkeypatch.setattr(timing.sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=11))
    monkeypatch.setattr(psutil, "Process", lambda: process)

    assert peak_memory() == 11


def test_the_peak_holds_what_the_process_holds_now():
    assert peak_memory() >= 0.9 * psutil.Process().memory_info().rss

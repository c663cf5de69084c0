"""The time foreseen, on a clock of our own; peak memory in bytes, whatever unit the system has."""

import sys
from itertools import count
from types import SimpleNamespace

import psutil
import pytest

from roundelay.learning.machine import machine_on
from roundelay.plan.arms import lay
from roundelay.running import timing
from roundelay.running.timing import peak_memory
from surveys import study, surveys

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


def test_the_time_foreseen_is_the_steps_and_the_hand_overs_beside_them(monkeypatch):
    """Whatever is timed takes one second: a step, and a hand-over."""
    clock = count()
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    plan = study(
        top={"arms": ("cwt", "fedavg")},
        data={"size": 32}, model={"encoder": "resnet18_quarter"},
        recipe={"rounds": 2, "epochs": 1, "batch": 2},
    )  # fmt: skip

    cost = timing.measure(plan, lay(plan, surveys()), machine_on("cpu", False, False))

    steps = 2 * (2 * 50) / 2  # two arms of two rounds over 50 slices, two slices a step
    assert cost.slices_per_second == 2
    assert cost.seconds == pytest.approx(steps + 2 * 6)  # two arms of six stops
    assert 3.5e6 < cost.baton_bytes < 4e6  # 0.9 million weights of four bytes
    assert cost.memory > cost.baton_bytes

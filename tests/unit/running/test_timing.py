"""The time foreseen, on a clock of our own."""

from itertools import count
from types import SimpleNamespace

import pytest

from roundelay.learning.machine import Machine
from roundelay.plan.arms import lay
from roundelay.running import timing
from surveys import study, surveys


def test_the_time_foreseen_is_the_steps_and_the_hand_overs_beside_them(monkeypatch):
    """Whatever is timed takes one second: a step, and a hand-over."""
    clock = count()
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    plan = study(
        top={"arms": ("cwt", "fedavg")},
        data={"size": 32}, model={"encoder": "resnet18"},
        recipe={"rounds": 2, "epochs": 1, "batch": 2},
    )  # fmt: skip

    cost = timing.measure(plan, lay(plan, surveys()), Machine("cpu", False, False))

    steps = 2 * (2 * 50) / 2  # two arms of two rounds over 50 slices, two slices a step
    assert cost.slices_per_second == 2
    assert cost.seconds == pytest.approx(steps + 2 * 6)  # two arms of six stops
    assert 50e6 < cost.baton_bytes < 60e6  # 14 million weights of four bytes
    assert cost.memory > cost.baton_bytes

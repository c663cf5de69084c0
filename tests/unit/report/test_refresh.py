"""The page of a run that goes on: after each round, as often as it costs little."""

from types import SimpleNamespace

import pytest

from fakes import write_run
from roundelay.report import refresh
from surveys import study

AFTER_LEG = refresh.Refresh.after_leg
"""As it is: all other tests go without."""
ARM = SimpleNamespace(round_ends={1, 3})


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass as the test says."""
    found = SimpleNamespace(now=100.0)
    monkeypatch.setattr(refresh.time, "monotonic", lambda: found.now)
    return found


def refreshing(run, said):
    page = refresh.Refresh(run, said.append)
    return lambda number: AFTER_LEG(page, ARM, number)


def test_a_page_is_there_after_a_round_and_not_before(tmp_path, clock):
    write_run(tmp_path, study(), {})
    (tmp_path / "summary.json").unlink()  # it goes on
    said = []
    after_leg = refreshing(tmp_path, said)

    after_leg(0)
    assert not (tmp_path / "report.html").exists()
    after_leg(1)

    assert "Still running" in (tmp_path / "report.html").read_text() and not said


def test_the_next_page_waits_ten_times_as_long_as_the_last_one_took(tmp_path, clock, monkeypatch):
    drawn = []

    def draw(out):
        drawn.append(clock.now)
        clock.now += 2.0
        return ""

    monkeypatch.setattr(refresh, "draw_or_say", draw)
    after_leg = refreshing(tmp_path, [])

    after_leg(1)
    for clock.now in (110.0, 121.9, 122.0):
        after_leg(3)

    assert drawn == [100.0, 122.0]


def test_a_page_that_can_not_be_drawn_is_said_and_stops_nothing(tmp_path, clock):
    said = []

    refreshing(tmp_path / "nowhere", said)(1)

    assert len(said) == 1 and "could not be drawn" in said[0] and "roundelay report" in said[0]

"""A run's log and its metrics: what a batch queue's user sees of it."""

import json
from pathlib import Path

import pytest

from roundelay.cli.progress import Watch
from roundelay.errors import CourierError
from roundelay.plan.progress import Waiting
from roundelay.running.events import Noticed, Planned
from roundelay.running.log import noted
from surveys import surveys
from toy_runs import Toy, run_toy


class Stops(Toy):
    """Loses its sites after so many visits."""

    def __init__(self, visits: int) -> None:
        super().__init__()
        self.left = visits

    def train(self, baton, stops):
        if self.left < len(stops):
            raise CourierError("away")
        self.left -= len(stops)
        return super().train(baton, stops)


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_a_line_for_each_visit_and_each_validation_and_none_twice(tmp_path: Path) -> None:
    out = tmp_path / "RUN"
    with pytest.raises(CourierError):
        run_toy(out, courier=lambda: Stops(4))
    before = rows(out)
    # A kill came before the last line was whole, and before the one before it was there at all.
    lines = (out / "metrics.jsonl").read_text().splitlines(keepends=True)
    (out / "metrics.jsonl").write_text("".join(lines[:-2]) + lines[-1][:20])
    run_toy(out, resume=True)

    found = rows(out)
    keys = [(row["kind"], row["arm"], row["number"]) for row in found]
    assert len(set(keys)) == len(keys)
    assert {(r["kind"], r["number"]) for r in before} < {(r["kind"], r["number"]) for r in found}
    visits = [row for row in found if row["kind"] == "visit"]
    assert len(visits) == 12  # two arms of two rounds at three sites
    assert {row["site"] for row in visits} == {"NORTH", "EAST", "SOUTH"}
    validations = [row for row in found if row["kind"] == "validation"]
    assert {(row["arm"], row["round"]) for row in validations} == {
        (arm, number) for arm in ("cwt-0", "fedavg-0") for number in (1, 2)
    }
    for row in validations:
        assert row["dice_mean"] == pytest.approx(sum(row["dice"].values()) / len(row["dice"]))


def test_the_log_tells_of_each_visit_once_with_the_time(tmp_path: Path) -> None:
    out = tmp_path / "RUN"
    with pytest.raises(CourierError):
        run_toy(out, courier=lambda: Stops(4))
    run_toy(out, resume=True)
    told = [line.partition("  ") for line in (out / "log.txt").read_text().splitlines()]
    assert all(time[:2] == "20" and time[10] == "T" for time, _, _ in told)
    texts = [text for _, _, text in told]
    assert sum(", train: " in text for text in texts) == 12
    assert sum("validation Dice" in text for text in texts) == 4
    assert any(text == "cwt-0: done." for text in texts)
    assert any(text.startswith("cwt-0: goes on after") for text in texts)


def test_nothing_is_written_before_a_run_is_planned_and_waiting_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roundelay.running.log.is_finished", lambda out: False)
    heard: list[object] = []
    tell = noted(tmp_path, heard.append)
    tell(Noticed("early"))
    assert not [*tmp_path.iterdir()]
    tell(Planned((), surveys(), ()))
    for why in ("away", "away", "", ""):
        tell(Waiting("EAST", why))
    texts = [line.partition("  ")[2] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert texts[1:] == ["EAST: away", "EAST: is there again."]
    assert len(heard) == 6


def test_an_arm_that_was_finished_does_not_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "RUN"
    with pytest.raises(CourierError):
        run_toy(out, courier=lambda: Stops(9))  # the first arm's six, and a round of the second
    for _ in range(2):
        with Watch(quiet=False) as watch:
            run_toy(out, resume=True, on_event=watch.event)

    for told in (capsys.readouterr().err, (out / "log.txt").read_text()):
        assert "cwt-0: goes on" not in told and told.count("fedavg-0: goes on after") == 1

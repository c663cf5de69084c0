"""Progress: a bar on a terminal, a line a visit elsewhere; always on standard error."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from rich.progress import BarColumn, Progress, TextColumn

from roundelay.cli import stopping
from roundelay.cli.show import err, notice

ANIMATED = err.is_terminal and not err.is_dumb_terminal
"""Whether a bar can be drawn over itself; else a line is said now and then."""


class Watch:
    """Follows a run's events. What is left is estimated from the slices seen so far."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._gone = quiet, False
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}", markup=False),
            console=err,
            disable=quiet or not ANIMATED,
            transient=True,
        )
        self._task = self._bar.add_task("opening the cohort", total=None, detail="")
        self._label, self._rounds = "", 1
        self._waited: dict[str, str] = {}
        self._steps = self._done = self._seen = 0
        self._begin = time.perf_counter()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            notice(text)

    def event(self, event: Any) -> None:
        """Show one event of a run; a terminal that is gone stops no training."""
        if self._gone:
            return
        try:
            self._show(event)
        except (OSError, SystemExit):  # Rich ends the process where nobody reads
            self._gone = True

    def _show(self, event: Any) -> None:
        {
            "Planned": self._planned,
            "ArmBegun": self._arm_begun,
            "ArmDone": self._arm_done,
            "Step": self._step,
            "Waiting": self._waiting,
            "Noticed": self._noticed,
            "Working": self._working,
        }.get(type(event).__name__, _said_by_steps)(event)

    def _planned(self, event: Any) -> None:
        for told in event.notices:
            self.say(f"Note: {told}")
        self._steps = sum(s.steps for arm in event.arms for leg in arm.legs for s in leg.stops)
        visits = sum(arm.slice_visits for arm in event.arms)
        patients = sum(sum(s.patients.values()) for s in event.surveys.values())
        models = "1 model" if len(event.arms) == 1 else f"{len(event.arms)} models"
        self.say(
            f"{len(event.surveys)} sites, {patients} patients; {models}, {visits:,} slice-visits."
        )
        # A run of its own, where every hospital is left out in turn.
        self._done = self._seen = 0
        self._begin = time.perf_counter()
        stopping.resumable()

    def _arm_begun(self, event: Any) -> None:
        self._label = event.arm.label
        self._rounds = max(stop.round for leg in event.arm.legs for stop in leg.stops)
        self._done += event.steps_done
        if event.steps_done and not event.finished:
            self.say(f"{self._label}: goes on after {event.steps_done} steps.")

    def _waiting(self, event: Any) -> None:
        if self._waited.get(event.site) != event.why:
            self.say(f"{event.site}: {event.why or 'is there again.'}")
        self._waited[event.site] = event.why

    def _noticed(self, event: Any) -> None:
        self.say(f"Note: {event.text}")

    def _working(self, event: Any) -> None:
        if ANIMATED:
            self._bar.update(self._task, description=event.text, detail="")
        else:
            self.say(event.text)

    def _arm_done(self, event: Any) -> None:
        self.say(f"{event.arm.label}: done.")

    def _step(self, event: Any) -> None:
        stop = event.stop
        self._done, self._seen = self._done + 1, self._seen + 1
        left = (time.perf_counter() - self._begin) / self._seen * (self._steps - self._done)
        where = f"{self._label}  round {stop.round}/{self._rounds}  {stop.site}"
        detail = (
            f"step {event.step}/{stop.steps}  loss {event.loss:.3f}"
            f"  {event.slices_per_second:.1f} slices/s  {duration(left)} left"
        )
        self._bar.update(
            self._task, description=where, total=self._steps, completed=self._done, detail=detail
        )
        if event.step == stop.steps and not ANIMATED:
            self.say(f"{where}  {detail}")


def _said_by_steps(_: Any) -> None:
    """Visits and validations: their steps were shown, and the rest is in the run's log."""


OFTEN = 20.0
"""Seconds between two lines of progress where there is no terminal."""


def duration(seconds: float) -> str:
    """A length of time for people: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class PatientsWatch:
    """What was left out of a folder of patients, then a bar over them on a terminal."""

    def __init__(self, bar: Progress, *, quiet: bool) -> None:
        self._bar, self._quiet = bar, quiet
        self.looked_at: Any = None
        self._task = bar.add_task("patients", total=None)
        self._begin = self._told = time.perf_counter()

    def found(self, found: Any) -> None:
        """Every file was looked at."""
        self.looked_at = found
        for one in found.left_out if not self._quiet else ():
            notice(f"Note: {one}")

    def patient(self, done: int, total: int) -> None:
        """A patient is done."""
        self._bar.update(self._task, completed=done, total=total)
        now = time.perf_counter()
        if not self._quiet and not ANIMATED and now - self._told > OFTEN and done < total:
            self._told, left = now, (now - self._begin) / done * (total - done)
            notice(f"{done} of {total} patients are done, about {duration(left)} left.")


@contextmanager
def patients_watch(*, quiet: bool) -> Iterator[PatientsWatch]:
    """A bar over patients on a terminal, a line now and then elsewhere."""
    bar = Progress(console=err, disable=quiet or not ANIMATED, transient=True)
    with bar:
        yield PatientsWatch(bar, quiet=quiet)

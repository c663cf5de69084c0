"""Keeps a run's report up to date while the run goes on."""

import time
from collections.abc import Callable
from pathlib import Path

from roundelay.plan.arms import Arm
from roundelay.records.contents import Run, read_run
from roundelay.report.page import lay_page, write_page

SHARE = 10
"""The report waits this many times its own building time: it may cost a tenth of a run at most."""


def draw_or_say(out: Path, run: Run | None = None) -> str:
    """Write the report of a run folder; why it couldn't be drawn, or nothing.

    `run` is the folder as it was read, where it was.
    """
    try:
        write_page(lay_page(run or read_run(out)), out)
    except Exception as error:  # whatever is wrong with a page, no training ends for it
        return (
            f"The report could not be drawn ({type(error).__name__}: {error}). Nothing of the run"
            f" is lost. Draw it again with:  roundelay report {out}"
        )
    return ""


class Refresh:
    """Writes the report of a run folder after a round, unless the last one is too recent."""

    def __init__(self, out: Path, say: Callable[[str], None]) -> None:
        """`say` is told where a page can't be drawn; the run goes on."""
        self._out, self._say = out, say
        self._not_before = 0.0

    def after_leg(self, arm: Arm, number: int) -> None:
        """A hand-over stands in the ledger; where it ends a round, the report may be due."""
        begin = time.monotonic()
        if number not in arm.round_ends or begin < self._not_before:
            return
        if why := draw_or_say(self._out):
            self._say(why)
        end = time.monotonic()
        self._not_before = end + SHARE * (end - begin)

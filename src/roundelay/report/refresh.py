"""Keeps a run's report up to date while the run goes on."""

import time
from pathlib import Path

from roundelay.plan.arms import Arm
from roundelay.report.page import write_report

SHARE = 10
"""The report waits this many times its own building time: it may cost a tenth of a run at most."""


class Refresh:
    """Writes the report of a run folder after a round, unless the last one is too recent."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._not_before = 0.0

    def after_leg(self, arm: Arm, number: int) -> None:
        """A hand-over stands in the ledger; where it ends a round, the report may be due."""
        begin = time.monotonic()
        if number not in arm.round_ends or begin < self._not_before:
            return
        write_report(self._out)
        end = time.monotonic()
        self._not_before = end + SHARE * (end - begin)

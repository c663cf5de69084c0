"""The memory of a process with all it started, memory that they share counted once."""

import contextlib

import psutil


class Peak:
    """The most that was seen: `bytes`, and how many `processes` there were at that moment.

    Counted are the process and its descendants, and those that let go of their parent but carry
    `mark` as a value in their environment, where one is given.
    """

    def __init__(self, number: int, mark: str = "") -> None:
        self._root, self._mark = psutil.Process(number), mark
        self.bytes = self.processes = 0

    def look(self) -> None:
        """Add up the proportional shares (PSS, Linux) of all that run now."""
        found = [share for share in map(_share, self._family()) if share]
        if sum(found) > self.bytes:
            self.bytes, self.processes = sum(found), len(found)

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _family(self) -> set[psutil.Process]:
        found = set[psutil.Process]()
        with contextlib.suppress(psutil.NoSuchProcess):
            found |= {self._root, *self._root.children(recursive=True)}
        if self._mark:
            found |= {one for one in psutil.process_iter() if self._mark in _environment(one)}
        return found


def _environment(process: psutil.Process) -> set[str]:
    try:
        return set(process.environ().values())
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return set()


def _share(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0

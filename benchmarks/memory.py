"""The memory of a process with all it started, memory that they share counted once."""

import psutil


class Peak:
    """The most that was seen: `bytes`, and how many `processes` there were at that moment."""

    def __init__(self, number: int) -> None:
        self._root = psutil.Process(number)
        self.bytes = self.processes = 0

    def look(self) -> None:
        """Add up the proportional shares (PSS, Linux) of all that run now."""
        try:
            family = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        found = [share for share in map(_share, family) if share]
        if sum(found) > self.bytes:
            self.bytes, self.processes = sum(found), len(found)


def _share(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0

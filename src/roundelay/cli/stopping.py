"""Ctrl-C and SIGTERM: one line and an exit code, at whatever moment they come.

While there is nothing to put in order, and while modules are being imported (where an exception may
be lost, or become another one), the process ends at once: files are written whole or not at all, so
it may. Otherwise KeyboardInterrupt lets the command put things in order; a second signal ends it.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GO_ON = "What was handed over is kept; go on with --resume."


class _Stop:
    """What has been heard, and what there is to say of it."""

    heard = 0
    working = False
    resumable = False


def listen() -> None:
    """From here on both signals end this process as said above; one that is ignored stays so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _hear)


@contextmanager
def working() -> Iterator[None]:
    """While this lasts, a signal is an exception that whoever works can put things in order by."""
    _Stop.working, _Stop.resumable = True, False
    try:
        yield
    finally:
        _Stop.working = False


def resumable() -> None:
    """From here on there is something to go on with."""
    _Stop.resumable = True


def sentence() -> str:
    """What a stopped command says."""
    return f"Stopped. {GO_ON}" if _Stop.resumable else "Stopped."


def was_heard() -> bool:
    """Whether a signal came: what went wrong after it did so because of it."""
    return _Stop.heard != 0


def code() -> int:
    """130 after Ctrl-C, 143 after SIGTERM, as shells have it."""
    return 128 + (_Stop.heard or signal.SIGINT)


def _hear(number: int, frame: FrameType | None) -> None:
    again, _Stop.heard = was_heard(), number
    if _Stop.working and not again and not _importing(frame):
        raise KeyboardInterrupt
    try:
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\n")  # a progress bar hides the cursor
        if not again:
            os.write(2, f"{sentence()}\n".encode("ascii"))
    finally:
        os._exit(code())


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False

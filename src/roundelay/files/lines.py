"""Files that grow by a line: logs, of which a kill may cut the last line and no other."""

import os
from io import BufferedRandom
from pathlib import Path

from roundelay.files.mishap import explained
from roundelay.files.regular import plain_bytes, refuse_special

BLOCK = 1 << 16
"""Bytes that are looked through at once for the end of a line."""


def append_line(path: Path, text: str) -> None:
    """Add a line, in the place of one that a kill cut. Raises MachineError.

    Not synced, as a log is no record: what a power cut takes of it is told by what is.
    """
    try:
        if path.exists():
            refuse_special(path)
        with path.open("ab+") as file:
            _drop_cut_line(file)
            file.write(text.replace("\n", " ").encode() + b"\n")
    except OSError as error:
        raise explained(error, path) or error from error


def whole_lines(path: Path) -> list[str]:
    """The lines of such a file without one that was cut; none where there is no file."""
    try:
        data = plain_bytes(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explained(error, path) or error from error
    return [line.decode(errors="replace") for line in data.split(b"\n")[:-1]]


def _drop_cut_line(file: BufferedRandom) -> None:
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(end - BLOCK, 0)
        file.seek(begin)
        at = file.read(end - begin).rfind(b"\n")
        if at >= 0:
            end = begin + at + 1
            break
        end = begin
    file.truncate(end)

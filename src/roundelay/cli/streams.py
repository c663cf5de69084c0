"""Standard streams that take all we say: also closed, full or broken ones, and no UTF-8."""

import codecs
import io
import logging
import os
import sys
from contextlib import suppress
from typing import Any

from roundelay.errors import OutputError

PLAIN = {
    "–": "-", "—": "-", "…": "...", "→": "->", "×": "x", "·": "-", "•": "*", "µ": "u", "±": "+-",
    "≤": "<=", "≥": ">=", "≈": "~", "“": '"', "”": '"', "‘": "'", "’": "'", "\xa0": " ",
}  # fmt: skip
"""What stands for a sign where a stream has none for it."""

HELP_WIDTH, NARROWEST = "100", 20

ERRORS = "roundelay"
"""The name of our error handler among Python's codecs."""


def open_all() -> None:
    """Give the process the streams that it lacks, and let all of them take any text.

    A closed descriptor is opened to nowhere: the next file that is opened would get its number, and
    be printed into. What can't be said on standard error is no reason to stop.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    codecs.register_error(ERRORS, _spelled)
    sys.stdout = _taking_all(sys.stdout, 1, io.TextIOWrapper)
    sys.stderr = _taking_all(sys.stderr, 2, _Forgiving)
    # That it keeps its fonts in another place, where there is no home, is of no use to anybody.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # Typer's own help: as narrow as a terminal is, but not as a pipe may say that it is.
    width = os.environ.pop("TERMINAL_WIDTH", "")
    if not os.isatty(1):
        os.environ["TERMINAL_WIDTH"] = HELP_WIDTH
    elif width.isdecimal() and int(width) >= NARROWEST:
        os.environ["TERMINAL_WIDTH"] = width


def flushed(code: int) -> int:
    """The exit code, once all that was printed is out; another one where it can't be."""
    try:
        sys.stdout.flush()
    except OSError as error:
        failed = OutputError(error)
        if str(failed):
            print(failed, file=sys.stderr)  # noqa: T201
        code = code or failed.exit_code
        _to_nowhere()
    return code


class _Forgiving(io.TextIOWrapper):
    """A stream that goes on where nobody takes what it says."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            super().flush()


def _taking_all(stream: Any, number: int, kind: type[io.TextIOWrapper]) -> Any:
    """The stream under another error handler, as `kind`."""
    if stream is None:  # it was closed when Python began
        return kind(os.fdopen(number, "wb"), encoding="utf-8", errors=ERRORS)
    if type(stream) is not io.TextIOWrapper:
        return stream  # somebody's own
    encoding, buffered = stream.encoding, not stream.line_buffering
    return kind(stream.detach(), encoding=encoding, errors=ERRORS, line_buffering=not buffered)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_plain(sign) for sign in error.object[error.start : error.end]), error.end


def _plain(sign: str) -> str:
    number = ord(sign)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file's name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii")


def _to_nowhere() -> None:
    """What is left in the buffer must not fail again when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)

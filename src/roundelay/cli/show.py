"""What is printed: results on standard output, all else on standard error."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from roundelay.errors import READER_GONE, OutputError, RoundelayError, UserError
from roundelay.study.names import visible

PLAIN: Any = {"highlight": False, "markup": False, "emoji": False}
"""A name from outside may look like markup: it is shown as it is."""

UNLIMITED = 1_000_000
"""Columns where standard output is no terminal."""


class _Stream(Console):
    """A console that leaves a reader who left to its callers."""

    def on_broken_pipe(self) -> None:
        raise


def is_terminal(stream: Any) -> bool:
    """Whether somebody reads along: what FORCE_COLOR and the like say is no matter."""
    return stream is not None and stream.isatty()


out = _Stream(force_terminal=is_terminal(sys.stdout), **PLAIN)
err = _Stream(stderr=True, soft_wrap=True, force_terminal=is_terminal(sys.stderr), **PLAIN)
if not out.is_terminal:
    out.width = UNLIMITED


def line(text: str) -> None:
    with _printing():
        out.print(visible(text), soft_wrap=True)


@contextmanager
def _printing() -> Iterator[None]:
    """Raise OutputError where standard output can't be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(error) from error


def error(text: str) -> None:
    if text:
        err.print(visible(text), style="red")


def notice(text: str) -> None:
    """A line that is no result."""
    err.print(visible(text))


def json_line(value: Any) -> None:
    """JSON alone, never styled or wrapped; in ASCII, which every pipe takes."""
    with _printing():
        out.file.write(json.dumps(value, allow_nan=False) + "\n")


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Text columns left, figures right. On a narrow screen columns are wrapped; where standard
    output is no terminal, lines stay whole for grep, however long."""
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        figures = all(not row[i] or row[i][0] in "0123456789-−+–." for row in rows)
        grid.add_column(visible(column), justify="right" if figures else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(visible, row))
    with _printing():
        out.print(grid)


@contextmanager
def finished_in(place: Path) -> Iterator[None]:
    """Print what a finished folder holds: no training is lost to a table.

    What can't be put into a table is said, and stands in the folder. Raises UserError where
    standard output can't be written, and ends quietly, with a code, where nobody reads it.
    """
    stands = f"The result stands whole in {place}: summary.json, patients.csv, report.html."
    try:
        yield
        out.file.flush()
    except (BrokenPipeError, SystemExit) as error:  # Rich makes the second of the first
        _close_output()
        raise typer.Exit(READER_GONE) from error
    except OSError as error:
        _close_output()
        why = error.strerror or error
        raise UserError(f"Standard output can't be written: {why}. {stands}") from error
    except RoundelayError as error:
        raise (UserError(f"{error} {stands}") if str(error) else error) from error
    except Exception as error:
        notice(f"The table could not be printed ({type(error).__name__}: {error}). {stands}")


def _close_output() -> None:
    """Send what is left in the buffer nowhere: the process is not to fail on it at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

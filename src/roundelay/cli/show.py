"""What is printed: results on standard output, all else on standard error."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from roundelay.errors import OutputError, RoundelayError, UserError
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
        figures = all(not row[i] or row[i][0] in "0123456789-–." for row in rows)
        grid.add_column(visible(column), justify="right" if figures else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(visible, row))
    with _printing():
        out.print(grid)


def ended(summary: dict[str, Any], place: Path, *, json_: bool) -> None:
    """What the end of a run says."""
    with finished_in(place):
        if json_:
            json_line(summary)
            return
        arms(summary)
        if (place / "report.html").exists():
            line(f"\nThe report:  {place / 'report.html'}")
        line(f"Who trained when:  roundelay ledger show {place}")


READER_GONE = 141
"""What a shell says of a program whose reader left: 128 and the number of SIGPIPE."""


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


def sites(found: Mapping[str, Sequence[Any]]) -> None:
    rows = [[site, str(len(p)), str(sum(len(x.images) for x in p))] for site, p in found.items()]
    table(None, ["site", "patients", "slices"], rows)


def arms(summary: Mapping[str, Any]) -> None:
    """The table at the end of a run: an arm a row."""
    rows = summary["arms"]
    split = "test" if any(row["test"] for row in rows) else "validation"
    if not any(row[split] for row in rows):
        line("No scores: no patient was kept for them, or hospitals keep theirs. Score others:")
        line("  roundelay evaluate RUN DATA")
        return
    names = sorted({site for row in rows if row[split] for site in row[split]["by_site"]})
    columns = ["arm", "seed", "Dice mean", "95 % over patients", "median", *names, "MB"]
    shown = [_arm_row(row, split, names) for row in rows]
    stamp = " of SYNTHETIC patients" if summary["synthetic"] else ""
    line("")
    table(f"Dice{stamp}, {split} patients, each as one volume", columns, shown)
    first = next(row[split] for row in rows if row[split])
    line(
        "An empty prediction: patient Dice 0.000 (1 where a patient has no tumour), slice Dice"
        f" {first['slice_dice_of_empty_prediction']:.3f} with two empty masks counted as 1.\n"
        "MB: models that went from place to place; – where the images would have to."
    )
    _comparisons(summary)


def left_out(summary: Mapping[str, Any]) -> None:
    """The table of hospitals left out in turn: a hospital a row."""
    methods = [row["method"] for row in summary["methods"]]
    rows = [
        [site, *(_number(found[method]) for method in methods)]
        for site, found in summary["left_out"].items()
    ]
    rows.append(["all", *(_number(method["dice_mean"]) for method in summary["methods"])])
    stamp = " of SYNTHETIC patients" if summary["synthetic"] else ""
    line("")
    table(f"Mean patient Dice{stamp} at the hospital left out", ["left out", *methods], rows)
    _comparisons(summary)


def _comparisons(summary: Mapping[str, Any]) -> None:
    """Each difference, then why there is no verdict, each reason once."""
    found = summary["comparisons"]
    reasons = dict.fromkeys(one["no_verdict"] for one in found if one["no_verdict"])
    for text in (*(one["sentence"] for one in found), *reasons):
        line(text)


def _arm_row(row: Mapping[str, Any], split: str, names: Sequence[str]) -> list[str]:
    own = row["site"] or row["order"]
    name = row["arm"] + (f" {own}" if own else "")
    passed = megabytes(row["bytes_passed"])
    score = row[split]
    if not score:
        return [name, str(row["seed"]), *["–"] * (3 + len(names)), passed]
    by_site = [
        f"{score['by_site'][n]['mean']:.3f}" if n in score["by_site"] else "–" for n in names
    ]
    return [
        name,
        str(row["seed"]),
        f"{score['dice_mean']:.3f}",
        interval(score["dice_mean_interval"]),
        _number(score["dice_median"]),
        *by_site,
        passed,
    ]


def scores(summary: Mapping[str, Any], *, synthetic: bool) -> None:
    """One model's scores: the main figures, then by site."""
    if synthetic:
        line("This model was trained on SYNTHETIC patients.")
    rows = [
        [
            "patient Dice, mean",
            f"{summary['dice_mean']:.3f}",
            interval(summary["dice_mean_interval"]),
        ],
        [
            "patient Dice, median",
            _number(summary["dice_median"]),
            interval(summary["dice_median_interval"]),
        ],
        ["pooled Dice (all slices as one)", f"{summary['pooled_dice']:.3f}", ""],
        ["Dice of slices with tumour", _number(summary["positive_slice_dice"]), ""],
        ["slice Dice, two empty masks = 1", f"{summary['slice_dice']:.3f}", ""],
        [
            "  the same for an empty prediction",
            f"{summary['slice_dice_of_empty_prediction']:.3f}",
            "",
        ],
    ]
    if summary["unit"] == "mm":  # in pixels it says little: --json has it
        rows += [
            ["HD95, mean, in mm", _number(summary["hd95_mean"], 1), ""],
            ["  patients counted as the diagonal", str(summary["hd95_missing"]), ""],
        ]
    table(
        f"{summary['patients']} patients, {summary['slices']} slices", ["score", "", "95 %"], rows
    )
    line("")
    by_site = [
        [site, str(s["patients"]), f"{s['mean']:.3f}", f"{s['median']:.3f}"]
        for site, s in summary["by_site"].items()
    ]
    table(None, ["site", "patients", "Dice mean", "median"], by_site)


def interval(found: Mapping[str, Any] | None) -> str:
    return f"{found['low']:.3f}–{found['high']:.3f}" if found else "–"


def megabytes(count: int | None) -> str:
    """Bytes of models that passed; a dash where the images themselves would have to."""
    return "–" if count is None else f"{count / 1e6:,.0f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"

"""What is printed: results on standard output, all else on standard error."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WIDE = 200
"""Columns where standard output is no terminal: lines stay whole for grep."""

out = Console(highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)
if not out.is_terminal:
    out.width = WIDE


def line(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)


def error(text: str) -> None:
    err.print(text, style="red", markup=False)


def notice(text: str) -> None:
    """A line that is no result."""
    err.print(text, markup=False)


def json_line(value: Any) -> None:
    """JSON alone, never styled or wrapped; in ASCII, which every pipe takes."""
    out.file.write(json.dumps(value, allow_nan=False) + "\n")


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Text columns left, figures right. Nothing is cut off on a narrow screen but wrapped."""
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        figures = all(not row[i] or row[i][0] in "0123456789-–." for row in rows)
        grid.add_column(column, justify="right" if figures else "left", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    out.print(grid)


def ended(summary: dict[str, Any], place: Path, *, json_: bool) -> None:
    """What the end of a run says."""
    if json_:
        json_line(summary)
        return
    arms(summary)
    if (place / "report.html").exists():
        line(f"\nThe report:  {place / 'report.html'}")
    line(f"Who trained when:  roundelay ledger show {place}")


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
    columns = ["arm", "seed", "Dice mean", "95 % interval", "median", "HD95", *names, "MB"]
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
    for comparison in summary["comparisons"]:
        line(comparison["sentence"])


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
    for comparison in summary["comparisons"]:
        line(comparison["sentence"])


def _arm_row(row: Mapping[str, Any], split: str, names: Sequence[str]) -> list[str]:
    own = row["site"] or row["order"]
    name = row["arm"] + (f" {own}" if own else "")
    passed = megabytes(row["bytes_passed"])
    score = row[split]
    if not score:
        return [name, str(row["seed"]), *["–"] * (4 + len(names)), passed]
    by_site = [
        f"{score['by_site'][n]['mean']:.3f}" if n in score["by_site"] else "–" for n in names
    ]
    return [
        name,
        str(row["seed"]),
        f"{score['dice_mean']:.3f}",
        interval(score["dice_mean_interval"]),
        _number(score["dice_median"]),
        _distance(score),
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
        [f"HD95, mean, in {summary['unit']}", _number(summary["hd95_mean"], 1), ""],
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
    return f"{found['low']:.3f}–{found['high']:.3f}" if found else ""


def megabytes(count: int | None) -> str:
    """Bytes of models that passed; a dash where the images themselves would have to."""
    return "–" if count is None else f"{count / 1e6:,.0f}"


def _distance(score: Mapping[str, Any]) -> str:
    unit = {"pixels": "px", "mm": "mm"}.get(score["unit"], "")
    return f"{_number(score['hd95_mean'], 1)} {unit}".strip()


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"

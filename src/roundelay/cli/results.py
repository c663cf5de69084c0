"""The tables of finished work: arms, hospitals, scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roundelay.cli import show
from roundelay.evaluation.fairness import gap_between
from roundelay.records.closing import head_of_run

WIDEST = 30
"""Hospitals that stand side by side in a table."""


def ended(summary: dict[str, Any], place: Path, *, json_: bool) -> None:
    """What the end of a run says."""
    with show.finished_in(place):
        if json_:
            show.json_line(summary)
            return
        arms(summary)
        if (place / "report.html").exists():
            show.line(f"\nThe report:  {place / 'report.html'}")
        show.line(f"Who trained when:  roundelay ledger show {place}")
        if head := head_of_run(place):
            show.line(f"The run's head, to note down beside its figures:  {head}")


def sites(found: Mapping[str, Sequence[Any]]) -> None:
    rows = [[site, str(len(p)), str(sum(x.slices for x in p))] for site, p in found.items()]
    show.table(None, ["site", "patients", "slices"], rows)


def arms(summary: Mapping[str, Any]) -> None:
    """The table at the end of a run: an arm a row."""
    rows = summary["arms"]
    split = "test" if any(row["test"] for row in rows) else "validation"
    if not any(row[split] for row in rows):
        show.line("No scores: no patient was kept for them, or hospitals keep them. Score others:")
        show.line("  roundelay evaluate RUN DATA")
        return
    names = sorted({site for row in rows if row[split] for site in row[split]["by_site"]})
    crowd = len(names) > WIDEST
    at_sites = ["worst hospital", "best hospital"] if crowd else names
    columns = ["arm", "seed", "Dice mean", "95 % over patients", "median", *at_sites, "MB"]
    shown = [_arm_row(row, split, None if crowd else names) for row in rows]
    stamp = " of SYNTHETIC patients" if summary["synthetic"] else ""
    show.line("")
    show.table(f"Dice{stamp}, {split} patients, each as one volume", columns, shown)
    first = next(row[split] for row in rows if row[split])
    show.line(
        "An empty prediction: patient Dice 0.000 (1 where a patient has no tumour), slice Dice"
        f" {first['slice_dice_of_empty_prediction']:.3f} with two empty masks counted as 1.\n"
        "MB: models that went from place to place; – where the images would have to."
    )
    _arms_by_region(rows, split)
    _comparisons(summary)


def _arms_by_region(rows: Sequence[Mapping[str, Any]], split: str) -> None:
    """Further regions, a column each, where the study has several."""
    scored = [row for row in rows if row[split]]
    names = list(scored[0][split].get("regions", {}))
    if names:
        found = [
            [row["label"], *(f"{row[split]['regions'][name]['dice_mean']:.3f}" for name in names)]
            for row in scored
        ]
        show.line("")
        show.table("Mean Dice of further regions", ["arm", *names], found)


def left_out(summary: Mapping[str, Any]) -> None:
    """The table of hospitals left out in turn: a hospital a row."""
    methods = [row["method"] for row in summary["methods"]]
    rows = [
        [site, *(_number(found[method]) for method in methods)]
        for site, found in summary["left_out"].items()
    ]
    rows.append(["all", *(_number(method["dice_mean"]) for method in summary["methods"])])
    stamp = " of SYNTHETIC patients" if summary["synthetic"] else ""
    show.line("")
    show.table(f"Mean patient Dice{stamp} at the hospital left out", ["left out", *methods], rows)
    _comparisons(summary)


def folds(summary: Mapping[str, Any], count: int) -> None:
    """The table of a cross-validation: a method a row, over the patients of all folds."""
    rows = [
        [
            row["method"],
            str(row["patients"]),
            f"{row['dice_mean']:.3f}",
            interval(row["dice_mean_interval"]),
            f"{row['dice_median']:.3f}",
            interval(row["dice_median_interval"]),
            " ".join(f"{mean:.3f}" for mean in sorted(row["single_seeds"])),
            *(_number(row["by_site"].get(site, {}).get("mean")) for site in _sites(summary)),
        ]
        for row in summary["methods"]
    ]
    columns = [
        "method", "patients", "Dice mean", "95 %", "median", "95 %", "single seeds",
        *_sites(summary),
    ]  # fmt: skip
    stamp = " of SYNTHETIC patients" if summary["synthetic"] else ""
    show.line("")
    show.table(f"Dice{stamp}, each patient scored once, in one of {count} folds", columns, rows)
    _comparisons(summary)


def _sites(summary: Mapping[str, Any]) -> list[str]:
    return sorted({site for row in summary["methods"] for site in row["by_site"]})


def _comparisons(summary: Mapping[str, Any]) -> None:
    """Each difference, then why there is no verdict, each reason once."""
    found = summary["comparisons"]
    reasons = dict.fromkeys(one["no_verdict"] for one in found if one["no_verdict"])
    for text in (*(one["sentence"] for one in found), *reasons):
        show.line(text)


def _arm_row(row: Mapping[str, Any], split: str, names: Sequence[str] | None) -> list[str]:
    """A row of the table of arms; without names the worst and the best hospital of more than one
    patient stand for all."""
    own = row["site"] or row["order"]
    name = row["arm"] + (f" {own}" if own else "")
    passed = megabytes(row["bytes_passed"])
    score = row[split]
    if not score:
        return [name, str(row["seed"]), *["–"] * (5 if names is None else 3 + len(names)), passed]
    means = {site: own["mean"] for site, own in score["by_site"].items()}
    if names is None:
        counts = {site: own["patients"] for site, own in score["by_site"].items()}
        found = gap_between({site: (counts[site], mean) for site, mean in means.items()})
        ends = (found.worst, found.best) if found else ()
        by_site = [f"{one.name} {one.mean:.3f}" for one in ends] or ["–", "–"]
    else:
        by_site = [f"{means[n]:.3f}" if n in means else "–" for n in names]
    return [
        name,
        str(row["seed"]),
        f"{score['dice_mean']:.3f}",
        interval(score["dice_mean_interval"]),
        _number(score["dice_median"]),
        *by_site,
        passed,
    ]


def sequences(found: Mapping[str, tuple[int, float]]) -> None:
    """Mean Dice by the sequences that exams lack, where some do."""
    if found:
        rows = [[name, str(count), f"{mean:.3f}"] for name, (count, mean) in found.items()]
        show.line("")
        show.table(None, ["sequences", "patients", "Dice mean"], rows)


def scores(summary: Mapping[str, Any], *, synthetic: bool) -> None:
    """One model's scores: the main figures, then by site."""
    if synthetic:
        show.line("This model was trained on SYNTHETIC patients.")
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
    show.table(
        f"{summary['patients']} patients, {summary['slices']} slices", ["score", "", "95 %"], rows
    )
    regions = summary.get("regions", {})
    if regions:
        show.line("")
        _regions(regions, summary["unit"])
    show.line("")
    by_site = [
        [site, str(s["patients"]), f"{s['mean']:.3f}", f"{s['median']:.3f}"]
        for site, s in summary["by_site"].items()
    ]
    show.table(None, ["site", "patients", "Dice mean", "median"], by_site)


def _regions(found: Mapping[str, Any], unit: str) -> None:
    """The regions beside the main one, whose figures stand above."""
    rows = [
        [
            name,
            f"{one['dice_mean']:.3f}",
            interval(one["dice_mean_interval"]),
            _number(one["dice_median"]),
            _number(one["hd95_mean"], 1),
        ]
        for name, one in found.items()
    ]
    show.table(None, ["further region", "Dice mean", "95 %", "median", f"HD95, {unit}"], rows)


def interval(found: Mapping[str, Any] | None) -> str:
    return f"{found['low']:.3f}–{found['high']:.3f}" if found else "–"


def megabytes(count: int | None) -> str:
    """Bytes of models that passed; a dash where the images themselves would have to."""
    return "–" if count is None else f"{count / 1e6:,.0f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"

"""The section on regions: what the first table says of the main one, of each."""

from collections.abc import Sequence

from roundelay.evaluation.judgement import MethodResult
from roundelay.evaluation.summary import Summary
from roundelay.records.contents import Run
from roundelay.report.blocks import Cell, Section, Table, Text
from roundelay.report.figures import colour_of

WIDEST = 12
"""Hospitals that stand side by side in a table."""


def regions_section(run: Run) -> Section:
    """Dice and HD95 of each region by method, where the study has several."""
    names, methods = tuple(run.study.data.regions), run.judgement.methods
    if len(names) < 2 or not methods:
        return Section("regions", "By region", [])
    unit = methods[0].summary.unit
    pairs = [(name, row) for name in names for row in methods]
    columns = ["region", "mean Dice", "95 %", "median", f"HD95, {unit}", "one mask empty"]
    labels = "; ".join(
        f"{name}: {', '.join(map(str, own))}" for name, own in run.study.data.regions.items()
    )
    return Section(
        "regions",
        "By region",
        [
            Table(f"{run.split.capitalize()} patients", columns, [_row(run, *p) for p in pairs]),
            _at_hospitals(run, pairs),
            Text(
                f"Values of the masks: {labels}. All other tables and comparisons are of"
                f" {names[0]}. The intervals are over patients, of each one's mean over seeds."
                " A patient of whose two masks exactly one is empty counts as the volume's"
                " diagonal in HD95.",
                soft=True,
            ),
        ],
    )


def _at_hospitals(run: Run, pairs: Sequence[tuple[str, MethodResult]]) -> Table:
    """A column a hospital, or a row where there are more than a page is wide."""
    sites = sorted({site for _, row in pairs for site in row.summary.by_site})
    rows = [_at_sites(run, *pair, sites) for pair in pairs]
    columns: list[str] = ["region", *sites]
    if len(sites) > WIDEST:
        turned = [list(column) for column in zip(*rows, strict=True)]
        names, *means = turned
        columns = ["hospital", *(cell.text for cell in names)]
        rows = [[Cell(site, prose=True), *own] for site, own in zip(sites, means, strict=True)]
    return Table("Mean Dice at each hospital", columns, rows, small=True)


def _named(run: Run, name: str, row: MethodResult) -> Cell:
    several = len(run.judgement.methods) > 1
    text = f"{name}, {row.method}" if several else name
    return Cell(text, prose=True, colour=colour_of(run, row.method))


def _row(run: Run, name: str, row: MethodResult) -> list[Cell]:
    found = _of_region(row, name)
    interval = found.dice_mean_interval
    return [
        _named(run, name, row),
        Cell(f"{found.dice_mean:.3f}"),
        Cell(f"{interval.low:.3f}–{interval.high:.3f}" if interval else "–"),
        Cell("–" if found.dice_median is None else f"{found.dice_median:.3f}"),
        Cell("–" if found.hd95_mean is None else f"{found.hd95_mean:.1f}"),
        Cell(str(found.hd95_missing)),
    ]


def _at_sites(run: Run, name: str, row: MethodResult, sites: list[str]) -> list[Cell]:
    found = _of_region(row, name).by_site
    means = (f"{found[site].mean:.3f}" if site in found else "–" for site in sites)
    return [_named(run, name, row), *map(Cell, means)]


def _of_region(row: MethodResult, name: str) -> Summary:
    return row.summary.regions.get(name, row.summary)

"""The section on regions: what the first table says of the main one, of each."""

from roundelay.evaluation.judgement import MethodResult
from roundelay.evaluation.summary import Summary
from roundelay.records.contents import Run
from roundelay.report.blocks import Cell, Section, Table, Text
from roundelay.report.figures import colour_of


def regions_section(run: Run) -> Section:
    """Dice and HD95 of each region by method, where the study has several."""
    names, methods = tuple(run.study.data.regions), run.judgement.methods
    if len(names) < 2 or not methods:
        return Section("regions", "By region", [])
    unit = methods[0].summary.unit
    pairs = [(name, row) for name in names for row in methods]
    columns = ["region", "mean Dice", "95 %", "median", f"HD95, {unit}", "one mask empty"]
    sites = sorted({site for row in methods for site in row.summary.by_site})
    labels = "; ".join(
        f"{name}: {', '.join(map(str, own))}" for name, own in run.study.data.regions.items()
    )
    return Section(
        "regions",
        "By region",
        [
            Table(f"{run.split.capitalize()} patients", columns, [_row(run, *p) for p in pairs]),
            Table(
                "Mean Dice at each hospital",
                ["region", *sites],
                [_at_sites(run, *p, sites) for p in pairs],
                small=True,
            ),
            Text(
                f"Values of the masks: {labels}. All other tables and comparisons are of"
                f" {names[0]}. The intervals are over patients, of each one's mean over seeds."
                " A patient of whose two masks exactly one is empty counts as the volume's"
                " diagonal in HD95.",
                soft=True,
            ),
        ],
    )


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

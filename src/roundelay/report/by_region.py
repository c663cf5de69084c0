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
    sites = sorted({site for row in methods for site in row.summary.by_site})
    unit = next((row.summary.unit for row in methods), "mixed")
    columns = [
        "region", "method", "mean Dice", "95 % interval", "median", f"HD95, {unit}",
        "counted as the diagonal", *sites,
    ]  # fmt: skip
    rows = [_row(run, name, row, sites) for name in names for row in methods]
    labels = "; ".join(
        f"{name}: {', '.join(map(str, own))}" for name, own in run.study.data.regions.items()
    )
    return Section(
        "regions",
        "By region",
        [
            Table(f"Dice of {run.split} patients by region", columns, rows),
            Text(
                f"Values of the masks: {labels}. All other tables and comparisons are of"
                f" {names[0]}. An interval is over patients, of each one's mean over seeds."
                " A patient of whose masks exactly one is empty counts as the volume's diagonal.",
                soft=True,
            ),
        ],
    )


def _row(run: Run, name: str, row: MethodResult, sites: list[str]) -> list[Cell]:
    found = _of_region(row, name)
    interval = found.dice_mean_interval
    return [
        Cell(name, prose=True),
        Cell(row.method, prose=True, colour=colour_of(run, row.method)),
        Cell(f"{found.dice_mean:.3f}"),
        Cell(f"{interval.low:.3f}–{interval.high:.3f}" if interval else "–"),
        Cell("–" if found.dice_median is None else f"{found.dice_median:.3f}"),
        Cell("–" if found.hd95_mean is None else f"{found.hd95_mean:.1f}"),
        Cell(str(found.hd95_missing)),
        *(
            Cell(f"{found.by_site[site].mean:.3f}" if site in found.by_site else "–")
            for site in sites
        ),
    ]


def _of_region(row: MethodResult, name: str) -> Summary:
    return row.summary.regions.get(name, row.summary)

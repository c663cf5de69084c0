"""The section on thresholds, where the study lets validation patients choose them."""

from roundelay.evaluation.thresholds import CANDIDATES, mean_dices
from roundelay.records.contents import ArmRun, Run
from roundelay.report.blocks import Cell, Section, Table, Text
from roundelay.report.figures import colour_of
from roundelay.study.sections import PLAIN_THRESHOLD


def thresholds_section(run: Run) -> Section:
    """Which threshold each model has, and what the choice was worth to those who chose."""
    rows = [row for arm in run.arms for row in _rows(run, arm)]
    if not rows:
        return Section("thresholds", "Thresholds", [])
    columns = ["model", "region", "threshold", "Dice there", f"at {PLAIN_THRESHOLD:g}", "chosen by"]
    listed = ", ".join(f"{one:g}" for one in CANDIDATES)
    return Section(
        "thresholds",
        "Thresholds",
        [
            Table("Mean Dice of validation patients", columns, rows, small=True, folded=True),
            Text(
                f"A pixel is tumour above its model's own threshold: of {listed} the one with the"
                " best mean Dice of the study's validation patients, of equals the nearest to"
                f" {PLAIN_THRESHOLD:g}. Test patients chose nothing. Validation patients' scores"
                " lean upwards by it; rounds were validated at"
                f" {PLAIN_THRESHOLD:g}.",
                soft=True,
            ),
        ],
    )


def _rows(run: Run, arm: ArmRun) -> list[list[Cell]]:
    if (choice := arm.thresholds) is None:
        return []
    found = []
    for name, threshold in choice.chosen.items():
        means = dict(zip(CANDIDATES, mean_dices(choice.patients, name), strict=True))
        found.append(
            [
                Cell(arm.label, prose=True, colour=colour_of(run, arm.method)),
                Cell(name, prose=True),
                Cell(f"{threshold:g}"),
                Cell(f"{means[threshold]:.3f}"),
                Cell(f"{means[PLAIN_THRESHOLD]:.3f}"),
                Cell(f"{len(choice.patients)} patients"),
            ]
        )
    return found

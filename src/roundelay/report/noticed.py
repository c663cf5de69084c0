"""The section on what was left out of the folder of patients, or noticed there."""

from roundelay.data.left_out import LeftOut
from roundelay.records.contents import Run
from roundelay.report.blocks import Items, Section, Text


def noticed_section(run: Run) -> Section:
    """A line for each reason; empty where there was none, or each hospital says it at home."""
    found = [LeftOut.from_json(one) for one in run.record.get("left_out", ())]
    if not found:
        return Section("noticed", "Left out, and noticed", [])
    said = "What was met in the folder of patients when the run began, by reason."
    return Section(
        "noticed", "Left out, and noticed", [Text(said), Items([str(one) for one in found])]
    )

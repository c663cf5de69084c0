"""A run that goes on under other software than it began with: said, and recorded in run.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roundelay.files.writing import write_json
from roundelay.records.layout import RECORD, arm_folder
from roundelay.relay.chain import read_chain

SOFTWARE = {
    "roundelay": "Roundelay",
    "torch": "PyTorch",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "python": "Python",
    "processor": "processor",
}
"""What makes the last bits of a number differ, as run.json calls it and as a sentence does."""

RESUMED = "resumed"


def changed_software(record: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What of the software is another now than when the run was last gone on with."""
    last = {**record, **(record.get(RESUMED) or [{}])[-1]}
    return {
        key: facts[key]
        for key in SOFTWARE
        if key in last and key in facts and last[key] != facts[key]
    }


def say_changed(record: Mapping[str, Any], changed: Mapping[str, Any], *, finished: bool) -> str:
    """The sentence on it."""
    last = {**record, **(record.get(RESUMED) or [{}])[-1]}
    pairs = [f"{SOFTWARE[key]} {last[key]} (now {now})" for key, now in changed.items()]
    begun = f"This run was computed with {', '.join(pairs)}."
    if finished:
        return f"{begun} It is finished: nothing is computed again."
    return (
        f"{begun} What is trained from here on may differ from what it would have been. {RECORD}"
        " records it, report and ledger verify say it. For the same bytes stop this, and resume"
        " with what the run began with."
    )


def told_of(entry: Mapping[str, Any]) -> str:
    """One resume under other software, as run.json records it."""
    now = ", ".join(f"{name} {entry[key]}" for key, name in SOFTWARE.items() if key in entry)
    legs = ", ".join(f"{label} {done}" for label, done in entry["after_legs"].items())
    return f"with {now} after these legs: {legs}"


def note_changed(out: Path, record: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Record in run.json what is another from here on, and after how many legs of each arm."""
    legs = {label: _legs_done(arm_folder(out, label)) for label in record["arms"]}
    entry = {"after_legs": legs, **changed}
    write_json(out / RECORD, {**record, RESUMED: [*record.get(RESUMED, []), entry]})


def _legs_done(place: Path) -> int:
    path = place / "ledger.jsonl"
    return len(read_chain(path).legs) if path.exists() else 0

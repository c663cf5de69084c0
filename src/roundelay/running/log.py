"""``log.txt``: what a run tells while it goes on, with the time of day, for who isn't there."""

from datetime import datetime
from pathlib import Path

from roundelay.files.lines import append_line
from roundelay.plan.progress import Waiting
from roundelay.records.layout import LOG, is_finished
from roundelay.records.metrics import Metrics
from roundelay.running.events import (
    ArmBegun,
    ArmDone,
    Event,
    Noticed,
    OnEvent,
    Planned,
    Validated,
    Visited,
    Working,
)


def noted(out: Path, on_event: OnEvent) -> OnEvent:
    """Tell `on_event`, and write the run's log and metrics; from the moment that a run is planned,
    when its folder is begun."""
    metrics: list[Metrics] = []
    waited: dict[str, str] = {}

    def note(event: Event) -> None:
        on_event(event)
        if isinstance(event, Planned) and not is_finished(out):
            metrics[:] = [Metrics(out)]
        if not metrics or _told_already(event, waited):
            return
        _measure(metrics[0], event)
        for text in _sentences(event):
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            append_line(out / LOG, f"{now}  {text}")

    return note


def _told_already(event: Event, waited: dict[str, str]) -> bool:
    """Whether a site is waited for as it was when this was last told."""
    if not isinstance(event, Waiting):
        return False
    before, waited[event.site] = waited.get(event.site, ""), event.why
    return before == event.why


def _measure(metrics: Metrics, event: Event) -> None:
    match event:
        case Visited(arm, receipt):
            metrics.visit(arm, receipt)
        case Validated(arm, found):
            metrics.validation(arm, found)


def _sentences(event: Event) -> list[str]:
    match event:
        case Planned():
            return _planned(event)
        case ArmBegun(arm, steps_done, finished=False):
            begins = f"goes on after {steps_done} steps" if steps_done else "begins"
            return [f"{arm.label}: {begins}."]
        case Visited(earlier=False):
            return [_visited(event)]
        case Validated(arm, found, earlier=False) if found.dice:
            mean = sum(found.dice.values()) / len(found.dice)
            return [f"{arm}: validation Dice {mean:.3f}, mean over sites."]
        case Waiting(site, why):
            return [f"{site}: {why or 'is there again.'}"]
        case ArmDone(arm):
            return [f"{arm.label}: done."]
        case Noticed(text) | Working(text):
            return [text]
    return []


def _planned(event: Planned) -> list[str]:
    visits = sum(arm.slice_visits for arm in event.arms)
    labels = ", ".join(arm.label for arm in event.arms)
    told = f"{len(event.surveys)} sites; {labels}: {visits:,} slice-visits planned."
    return [told, *(f"Note: {text}" for text in event.notices)]


def _visited(event: Visited) -> str:
    receipt = event.receipt
    loss = "" if receipt.loss is None else f", loss {receipt.loss:.3f}"
    return (
        f"{event.arm}: {receipt.site}, round {receipt.round}, {receipt.task}: {receipt.steps}"
        f" steps{loss}, {receipt.seconds:.1f} s."
    )

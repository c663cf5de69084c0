"""Run a study: open the courier, lay the arms, run each, finish the run folder."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from roundelay.couriers import open_courier
from roundelay.data.survey import TEST
from roundelay.errors import LedgerError
from roundelay.files.mishap import explained
from roundelay.records.closing import close_run, refuse_changed_end
from roundelay.records.contents import Run, read_run
from roundelay.records.going_on import GoingOn
from roundelay.records.layout import (
    RECORD,
    begin_run,
    is_begun,
    is_finished,
    locked,
    open_run,
)
from roundelay.records.result import RunResult, result_of, write_result
from roundelay.records.resuming import changed_software, note_changed, say_changed
from roundelay.records.samples import read_samples
from roundelay.records.several import kind_of, refuse_among_several
from roundelay.relay.courier import Courier
from roundelay.report.refresh import Refresh, draw_or_say
from roundelay.running.arm import run_arm
from roundelay.running.events import Event, Noticed, OnEvent, Working
from roundelay.running.log import noted
from roundelay.running.pictures import pictures_or_say
from roundelay.running.prepare import CourierOf, prepared
from roundelay.running.run_plan import RunPlan
from roundelay.study.study import Study


def nobody_watches(_: Event) -> None:
    """Events are dropped."""


def run_study(
    study: Study,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    on_event: OnEvent = nobody_watches,
    courier_of: CourierOf = open_courier,
    alike: Mapping[str, Any] | None = None,
    going_on: GoingOn | None = None,
) -> RunResult:
    """Run all arms of a study into the folder `out`.

    With `resume`, go on after the last finished visit: the same final bytes as a run that was
    never stopped. `courier_of` opens the courier; a new run computes in the numbers and on the
    device that `alike` names, the record of another run, and begins with the models of the one that
    it is `going_on` from. Raises UserError before anything is written where the user can mend it,
    and SiteError where a site failed. Threads and deterministic mode of the process are as found
    afterwards.
    """
    if resume and not is_begun(out):
        on_event(Noticed(nothing_to_resume(out)))
    if kind_of(study) is None:
        refuse_among_several(out)
    on_event = noted(out, on_event)
    with ExitStack() as held:
        if resume and (out / RECORD).exists():
            held.enter_context(locked(out))  # before anything of it is read
        ready = held.enter_context(
            prepared(
                study,
                out,
                resume=resume,
                device=device,
                on_step=on_event,
                courier_of=courier_of,
                alike=alike,
                going_on=going_on,
            )
        )
        if ready.record is None:
            held.enter_context(locked(out))
            open_run(study, out, resume=False)  # nobody began here in the meantime
        begin_run(study, out, ready.record, ready.plan.facts)
        with _going(out):
            _say_other_software(out, ready.record, ready.plan, on_event)
            return _run_arms(ready.plan, out, ready.courier, on_event)


def nothing_to_resume(out: Path) -> str:
    """What is said before a run begins that was to go on."""
    return f"There is nothing to resume at {out}: a new run begins there. Is it the right folder?"


def _run_arms(plan: RunPlan, out: Path, courier: Courier, on_event: OnEvent) -> RunResult:
    on_event(plan.announced())
    refresh = Refresh(out, lambda text: on_event(Noticed(text)))
    for arm in plan.arms:
        run_arm(plan.of(arm), out, courier, refresh, on_event)
    return _finish(plan, out, on_event)


@contextmanager
def _going(out: Path) -> Iterator[None]:
    """What the machine refuses from here on ends a run that can go on: so it is said."""
    try:
        yield
    except Exception as error:
        if (known := explained(error)) is None:
            raise
        raise type(known)(
            f"{known}\nWhat was handed over is kept in {out}: then go on with --resume.",
            resumable=True,
        ) from error


def _say_other_software(
    out: Path, record: Mapping[str, Any] | None, plan: RunPlan, on_event: OnEvent
) -> None:
    """A run that goes on under other software says so, and records it where it computes more."""
    if record is None or not (changed := changed_software(record, plan.facts)):
        return
    finished = is_finished(out)
    on_event(Noticed(say_changed(record, changed, finished=finished)))
    if not finished:
        note_changed(out, record, changed)


def _finish(plan: RunPlan, out: Path, on_event: OnEvent) -> RunResult:
    """Read the folder once, and write what it comes to, before any picture or page is drawn: one
    that can't be is said and loses nothing."""
    on_event(Working("All is scored: figures, pictures and the page follow."))
    run = read_run(out)
    _refuse_what_changed(run, plan)
    result, said = result_of(run), ""
    if is_finished(out):
        refuse_changed_end(out)
    else:
        write_result(result)
        said = _pictures(plan, run)
        close_run(out, {arm.label: arm.head for arm in run.arms})
    run = replace(run, finished=True, samples=read_samples(out))
    for text in (said, draw_or_say(out, run)):
        if text:
            on_event(Noticed(text))
    return result


def _refuse_what_changed(run: Run, plan: RunPlan) -> None:
    """Raise LedgerError where an arm can't be read, or a finished run isn't what it was."""
    if run.problems and (run.finished or len(run.arms) < len(plan.arms)):
        raise LedgerError(f"{run.problems[0]}\nSomething in {run.folder} was changed.")


def _pictures(plan: RunPlan, run: Run) -> str:
    shown = run.relay_arm() or run.arms[0]
    scores = [score for score in shown.every_score if score.split == TEST]
    if not (plan.study.evaluation.samples and plan.images_at_hand and scores) or run.samples:
        return ""
    return pictures_or_say(plan.study, run.folder, shown.label, scores, plan.machine)

"""`roundelay.run`: the main job from Python."""

from pathlib import Path

from roundelay.records.result import RunResult
from roundelay.running.events import OnEvent
from roundelay.running.run import nobody_watches, run_study
from roundelay.study.file import read_study
from roundelay.study.study import Study


def run(
    study: Study | Path | str,
    out: Path | str,
    *,
    data: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    on_event: OnEvent = nobody_watches,
) -> RunResult:
    """Run all arms of a study, or of a study file or preset by name, into the folder `out`.

    `data` takes the place of ``data.root`` where a file or preset is named; `device` is ``auto``,
    ``cpu``, ``cuda`` or ``mps``. With `resume`, go on
    after the last finished visit. `on_event` is told what happens (`roundelay.running.events`).
    Raises UserError before anything is written where you can mend it, SiteError where a site
    failed; both are in `roundelay.errors`. Threads and determinism are as the study says while it
    runs, and as they were afterwards.
    """
    if not isinstance(study, Study):
        study = read_study(study, data=None if data is None else Path(data))
    return run_study(study, Path(out), resume=resume, device=device, on_event=on_event)

"""``roundelay run``: one study in one run, in several, or on from a finished one."""

from pathlib import Path
from typing import Annotated

import typer

from roundelay.cli import results, several
from roundelay.cli.options import (
    DataOption,
    DeviceOption,
    FoldsOption,
    JsonOption,
    MoreRoundsOption,
    SetOption,
    StudyArgument,
)
from roundelay.cli.progress import Watch
from roundelay.errors import UserError
from roundelay.learning.cpu.heap import keep_freed_memory
from roundelay.study.study import Study


def run(
    study: StudyArgument,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: DataOption = None,
    resume: Annotated[bool, typer.Option(help="Go on after the last finished visit.")] = False,
    leave_one_site_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-site-out",
            help="A run for each site, into OUT/SITE, with that site left out of training.",
        ),
    ] = False,
    folds: FoldsOption = None,
    more_rounds: MoreRoundsOption = None,
    changes: SetOption = None,
    device: DeviceOption = "auto",
    json_: JsonOption = False,
) -> None:
    """The main job: run all arms of a study."""
    from roundelay.study.file import read_study

    if more_rounds is not None:
        if leave_one_site_out or folds is not None or changes:
            raise UserError("--more-rounds goes on from one run: leave the other option out.")
        keep_freed_memory()
        several.go_on(
            Path(study), out, more_rounds, data=data, resume=resume, device=device, json_=json_
        )
        return
    # Before torch: a broken study is answered at once.
    found = read_study(study, data=data, folds=folds, changes=changes or ())
    if found.courier.kind == "here":  # elsewhere this process only hands on
        keep_freed_memory()
    from roundelay.couriers import ahead

    with ahead(found):  # Ray, where the study wants it, and PyTorch come up side by side
        if leave_one_site_out:
            several.leave_out(found, out, resume=resume, device=device, json_=json_)
        elif found.data.folds and found.data.test_fold is None:
            several.cross_validate(found, out, resume=resume, device=device, json_=json_)
        else:
            _run_once(found, out, resume=resume, device=device, json_=json_)


def _run_once(study: Study, out: Path, *, resume: bool, device: str, json_: bool) -> None:
    from roundelay.running.run import run_study

    with Watch(quiet=json_) as watch:
        result = run_study(study, out, resume=resume, device=device, on_event=watch.event)
    results.ended(result.as_json(), out, json_=json_)

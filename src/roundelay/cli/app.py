"""The commands and their arguments; errors become sentences and exit codes here."""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

import roundelay
from roundelay.cli import (
    cache,
    inference,
    init,
    ledger,
    network,
    phantom,
    pretrain,
    results,
    run,
    show,
    stopping,
)
from roundelay.cli.options import (
    DataOption,
    DeviceOption,
    FoldsOption,
    JsonOption,
    SetOption,
    StudyArgument,
    at_home,
)
from roundelay.cli.progress import Watch
from roundelay.errors import MissingTorchError, RoundelayError, UserError
from roundelay.files.mishap import explained
from roundelay.learning.cpu.heap import keep_freed_memory

app = typer.Typer(
    help="Sequential federated learning on medical images: the model goes round the hospitals,"
    " the images stay.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(ledger.app, name="ledger")
app.add_typer(network.network, name="network")
app.add_typer(network.server, name="server")
app.add_typer(network.site, name="site")


def _show_version(wanted: bool) -> None:
    if wanted:
        show.line(f"roundelay {roundelay.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Options of `roundelay` itself."""


def run_app(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code: 0, 2 mend it, 3 a site failed, 130 stopped."""
    with stopping.working():
        try:
            # Not through `app()`, which has endings of its own for Ctrl-C and for broken pipes.
            with get_command(app).make_context("roundelay", at_home(arguments)) as context:
                context.command.invoke(context)
            return 0
        except typer.Exit as end:
            return end.exit_code
        except (Exception, KeyboardInterrupt) as error:
            if stopping.was_heard() or isinstance(error, KeyboardInterrupt | typer.Abort):
                show.error(stopping.sentence())
                return stopping.code()
            if (known := _known(error)) is None:
                raise
            show.error(str(known))
            return known.exit_code


def _known(error: BaseException) -> RoundelayError | None:
    """What is said of an error; None of one that keeps its traceback."""
    if isinstance(error, RoundelayError):
        return error
    # roundelay-verify leaves PyTorch out; what trains imports it only once it is asked for.
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return MissingTorchError()
    # Typer's own complaints about arguments, without naming the library it is built on.
    if hasattr(error, "format_message"):
        return UserError(error.format_message())
    return explained(error)


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the newest demo-run, or --out.")] = False,
    device: DeviceOption = "auto",
    json_: JsonOption = False,
) -> None:
    """A whole study on a synthetic five-hospital cohort."""
    from roundelay.running.run import run_study
    from roundelay.study.file import read_study

    keep_freed_memory()
    study = read_study("demo")
    place = out or (_newest_folder if resume else _free_folder)(Path("demo-run"))
    with Watch(quiet=json_) as watch:
        watch.say(
            "Five hospitals of synthetic patients (made from a template; no patient is in them)."
            f" The run's folder: {place}"
        )
        result = run_study(study, place, resume=resume, device=device, on_event=watch.event)
    results.ended(result.as_json(), place, json_=json_)


app.command()(init.init)


@app.command()
def check(
    study: StudyArgument,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder that the run will be in: is there room?")
    ] = None,
    folds: FoldsOption = None,
    changes: SetOption = None,
    device: DeviceOption = "auto",
    json_: JsonOption = False,
) -> None:
    """Sites, splits, itinerary, bytes, time and memory expected; trains nothing."""
    from roundelay.study.file import read_study

    found = read_study(study, data=data, folds=folds, changes=changes or ())
    place = out or _free_folder(Path("RUN"))
    keep_freed_memory()
    if found.data.folds and found.data.test_fold is None:
        from roundelay.cli.check_folds import check_folds

        check_folds(found, out=place, device=device, json_=json_)
        return
    from roundelay.cli.check import check_study

    check_study(found, out=place, device=device, json_=json_)


app.command()(run.run)
app.command()(inference.evaluate)
app.command()(inference.predict)


@app.command()
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(help="A run folder, finished or not, or one of folds; or several."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page; needed for several runs.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Write report.html: of one run into its folder or --out, of several into --out."""
    from roundelay.report.page import write_report, write_reports

    if len(runs) > 1 and out is None:
        raise UserError("Several runs side by side need a folder for their page: give --out.")
    if len(runs) == 1:
        page = write_report(runs[0], out, say=_note)
    else:
        page = write_reports(runs, out or Path(), say=_note)
    if json_:
        show.json_line({"report": str(page)})
    else:
        show.line(f"Wrote {page}.")


def _note(text: str) -> None:
    show.notice(f"Note: {text}")


@app.command()
def watch(
    run: Annotated[Path, typer.Argument(help="A run folder; the run may be going on.")],
    port: Annotated[int, typer.Option(help="Port on this machine; 0 is any free one.")] = 0,
) -> None:
    """Show a run's report in a browser on this machine; it reloads when the report changes."""
    import threading

    from roundelay.report.watching import watched

    with watched(run, port=port) as address:
        show.line(f"{address}  (Ctrl-C ends)")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


app.command()(phantom.phantom)
app.command()(pretrain.pretrain)
app.command()(cache.cache)
app.command()(network.submit)


def _free_folder(wanted: Path) -> Path:
    return next(place for place in _numbered(wanted) if not place.exists())


def _newest_folder(wanted: Path) -> Path:
    """The last one that is there; the first where none is."""
    there = list(takewhile(Path.exists, _numbered(wanted)))
    return there[-1] if there else wanted


def _numbered(wanted: Path) -> Iterator[Path]:
    yield wanted
    yield from (wanted.with_name(f"{wanted.name}-{number}") for number in count(2))

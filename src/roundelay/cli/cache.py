"""``roundelay cache``: what is kept of images beside the runs, and how to be rid of it."""

from pathlib import Path
from typing import Annotated

import typer

from roundelay.cli import results, show
from roundelay.cli.options import JsonOption
from roundelay.errors import UserError
from roundelay.network.wire.kit import HOME, kit_role


def cache(
    kit: Annotated[Path | None, typer.Option(help="Those of the hospital with this kit.")] = None,
    remove: Annotated[bool, typer.Option("--clear", help="Remove it all.")] = False,
    json_: JsonOption = False,
) -> None:
    """Slices that are kept as the network sees them: where, how many, how much."""
    from roundelay.data.slice_cache import clear, kept_in, slices_folder

    if kit is not None:
        kit_role(kit)  # refuses what is no kit
    if (folder := slices_folder(kit and kit / HOME)) is None:
        raise UserError(
            "Nothing is kept: the folder for it can't be made. Set XDG_CACHE_HOME to a folder that"
            " can be written."
        )
    exams, size = kept_in(folder)
    if remove:
        clear(folder)
    if json_:
        show.json_line({"folder": str(folder), "exams": exams, "bytes": size, "cleared": remove})
        return
    done = "Removed: the" if remove else "The"
    show.line(f"{done} slices of {exams} exams, {results.megabytes(size)} MB, in {folder}")
    if exams and not remove:
        show.line("They are parts of patients' images. Remove them by  roundelay cache --clear")

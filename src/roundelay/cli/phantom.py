"""``roundelay phantom``: a synthetic cohort as files, to try everything without real patients."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from roundelay.cli import show
from roundelay.cli.options import JsonOption
from roundelay.errors import UserError

KINDS = ("nifti", "nnunet", "lgg")

MOST_PATIENTS, MOST_SLICES = 1000, 200


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder of the patients: a new or an empty one.")],
    format_: Annotated[
        str, typer.Option("--format", help=f"Layout of the folder: {', '.join(KINDS)}.")
    ] = "nifti",
    seed: Annotated[int, typer.Option(help="Another number, other patients.", min=0)] = 0,
    patients: Annotated[
        list[str] | None,
        typer.Option(
            help="How many of one hospital, as NORTH=4; again for each. All five if left out."
        ),
    ] = None,
    slices: Annotated[
        int | None, typer.Option(help="Slices of an exam.", min=1, max=MOST_SLICES)
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Write a synthetic cohort of five hospitals; no patient is in it."""
    if format_ not in KINDS:
        raise UserError(f"--format {format_!r} is not written. Known: {', '.join(KINDS)}.")
    counts = _counts(patients or ())

    from roundelay.files.places import refuse_place
    from roundelay.phantom.cohort import make_phantom
    from roundelay.phantom.scanner import HOSPITALS

    refuse_place(out)
    make_phantom(out, seed=seed, patients=counts or None, slices=slices, layout=format_)
    counts = counts or {name: hospital.patients for name, hospital in HOSPITALS.items()}
    if json_:
        show.json_line({"folder": str(out), "format": format_, "patients": counts})
        return
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    show.line(f"Wrote {sum(counts.values())} synthetic patients to {out} ({format_}): {listed}.")
    if format_ != "lgg":
        show.line(f"Who is where stands in {out / 'sites.csv'}.")
    show.line(f"Next:  roundelay init {out}")


def _counts(texts: Sequence[str]) -> dict[str, int]:
    """Patients by hospital. Raises UserError for anything but NAME=N, each once."""
    found: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not re.fullmatch("[0-9]{1,6}", number) or not 0 < int(number) <= MOST_PATIENTS:
            raise UserError(
                f"--patients {text!r} is no hospital and number, such as NORTH=4 ({MOST_PATIENTS}"
                " at most)."
            )
        if name in found:
            raise UserError(f"--patients names {name!r} twice.")
        found[name] = int(number)
    return found

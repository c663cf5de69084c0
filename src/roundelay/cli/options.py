"""Arguments and options that several commands share."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from roundelay.errors import UserError
from roundelay.study.preset import preset_names

StudyArgument = Annotated[
    str, typer.Argument(help=f"A study.toml, or {', '.join(preset_names())}.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the patients, in the place of data.root.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Where to compute: auto, cpu, cuda, cuda:1 or mps.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A key of the study in other words, as recipe.rounds=4; recipe.epochs= takes one out."
        " Again for each.",
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        "--folds",
        help="Cross-validation: a run for each of so many folds, into OUT/fold-1 and on; every"
        " patient tests once. In the place of data.folds.",
    ),
]
MoreRoundsOption = Annotated[
    int | None,
    typer.Option(
        "--more-rounds",
        help="STUDY is a finished run: go on from its models, into OUT, with so many rounds of a"
        " schedule of their own.",
    ),
]
LAYOUTS = "lgg, nifti, nnunet, datalist, dicom"
"""By name, without loading what reads them."""

FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help=f"Layout of the folder: {LAYOUTS}; that of the model's own images if not given.",
    ),
]

SiteOption = Annotated[
    Path | None,
    typer.Option("--site", help="A site.toml: labels and channels that the folder has otherwise."),
]
BadExamOption = Annotated[
    str,
    typer.Option(
        "--on-bad-exam",
        help="An exam that can't be used ends it (refuse), or is left out and said (leave-out).",
    ),
]
ModelArgument = Annotated[
    Path, typer.Argument(help="A model.safetensors, or a run folder with one.")
]


def at_home(arguments: Sequence[str]) -> list[str]:
    """The arguments with the homes that a shell leaves to us, as in ``--out=~/RUN``: no folder is
    called ``~`` by anybody who means it."""
    return [_at_home(argument) for argument in arguments]


def _at_home(argument: str) -> str:
    begin = re.match(r"(--[a-z-]+=)?", argument)
    option = begin[0] if begin else ""
    place = argument.removeprefix(option)
    if not place.startswith("~"):
        return argument
    try:
        return option + str(Path(place).expanduser())
    except RuntimeError as error:
        if place.startswith("~/") or place == "~":
            raise UserError(f"{place}: there is no home folder here. Name the place.") from error
        return argument  # a name with a tilde, of no user

"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from roundelay.study.preset import preset_names

StudyArgument = Annotated[
    str, typer.Argument(help=f"A study.toml, or {', '.join(preset_names())}.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the patients, in the place of data.root.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Where to compute: auto, cpu, cuda or mps.")
]
FormatOption = Annotated[str, typer.Option("--format", help="Layout of the folder: lgg.")]
ModelArgument = Annotated[
    Path, typer.Argument(help="A model.safetensors, or a run folder with one.")
]

"""``roundelay pretrain``: weights for an encoder from synthetic patients."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from roundelay.cli import show
from roundelay.cli.options import DeviceOption, JsonOption
from roundelay.cli.progress import Watch


def pretrain(
    out: Annotated[Path, typer.Argument(help="The file to write: NAME.safetensors.")],
    encoder: Annotated[str, typer.Option(help="As model.encoder of a study.")] = "resnext50_32x4d",
    slices: Annotated[int, typer.Option(help="About how many slice-visits.")] = 6000,
    seed: Annotated[int, typer.Option(help="Draws the first weights and all else.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on after the last finished round.")] = False,
    device: DeviceOption = "auto",
    json_: JsonOption = False,
) -> None:
    """Train an encoder on synthetic patients and write its weights, for model.weights of a study;
    the run lies beside them, in NAME-run."""
    from roundelay.learning.cpu.heap import keep_freed_memory
    from roundelay.running.pretrain import pretrain as train
    from roundelay.running.pretrain import pretraining

    keep_freed_memory()
    study = pretraining(encoder, seed=seed, slices=slices)
    with Watch(quiet=json_) as watch:
        found = train(study, out, resume=resume, device=device, on_event=watch.event)
    if json_:
        values = {**asdict(found), "path": str(found.path), "run": str(found.run)}
        show.json_line(values)
        return
    show.line(
        f"Wrote {found.path}: the weights of {found.encoder} after {found.slice_visits:,}"
        f" slice-visits on synthetic patients. The run that made them:  {found.run}"
    )
    show.line(f"\nIn a study:\n\n{found.lines()}")

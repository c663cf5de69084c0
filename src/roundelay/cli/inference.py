"""``roundelay evaluate`` and ``predict``: a finished model on other patients."""

from pathlib import Path
from typing import Annotated

import typer

from roundelay.cli import results, show
from roundelay.cli.options import (
    BadExamOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    ModelArgument,
    SiteOption,
)
from roundelay.cli.progress import patients_watch
from roundelay.learning.cpu.heap import keep_freed_memory


def evaluate(
    model: ModelArgument,
    data: Annotated[Path, typer.Argument(help="Folder of patients with masks.")],
    format_: FormatOption = None,
    site: SiteOption = None,
    on_bad_exam: BadExamOption = "refuse",
    device: DeviceOption = "auto",
    json_: JsonOption = False,
) -> None:
    """Score a model on all patients of a folder."""
    from roundelay.inference.evaluation import evaluate_model

    keep_freed_memory()
    with patients_watch(quiet=json_) as watch:
        found = evaluate_model(
            model, data, format=format_, site=site, on_bad_exam=on_bad_exam,
            device=device, on_found=watch.found, on_patient=watch.patient,
        )  # fmt: skip
    if json_:
        show.json_line(found.as_json())
    else:
        results.scores(found.summary.as_json(), synthetic=found.synthetic)
        results.sequences(found.by_sequences)


def predict(
    model: ModelArgument,
    data: Annotated[Path, typer.Argument(help="Folder of patients; masks aren't needed.")],
    out: Annotated[Path, typer.Option(help="Folder for masks and overlays.")],
    format_: FormatOption = None,
    site: SiteOption = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write each region's probability as NIfTI too.")
    ] = False,
    on_bad_exam: BadExamOption = "refuse",
    device: DeviceOption = "auto",
    json_: JsonOption = False,
) -> None:
    """Write masks in the input's format, and overlays as PNG."""
    from roundelay.inference.prediction import predict_folder

    keep_freed_memory()
    with patients_watch(quiet=json_) as watch:
        sheets = predict_folder(
            model, data, out, format=format_, site=site, probabilities=probabilities,
            on_bad_exam=on_bad_exam,
            device=device, on_found=watch.found, on_patient=watch.patient,
        )  # fmt: skip
    found = watch.looked_at
    if json_:
        left_out = [one.as_json() for one in found.left_out]
        show.json_line(
            {
                "overlays": [str(sheet) for sheet in sheets],
                "kept": found.finished,
                "left_out": left_out,
            }
        )
        return
    kept = f" ({found.finished} of them were there)" if found.finished else ""
    show.line(f"Wrote masks and overlays of {len(sheets)} patients to {out}{kept}.")

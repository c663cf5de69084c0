"""An encoder pretrained on synthetic patients: weights for a study, where no hub is in reach."""

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.numpy
from pydantic import ValidationError

from roundelay.errors import ModelError, RunFolderError, StudyError
from roundelay.files.arrays import Arrays
from roundelay.files.regular import file_digest
from roundelay.files.writing import write_bytes
from roundelay.learning.unet import ENCODERS
from roundelay.learning.weights_source import PRETRAINED, PretrainedHeader
from roundelay.records.closing import head_of_run
from roundelay.records.going_on import start_of
from roundelay.records.layout import read_record
from roundelay.relay.baton import MODEL
from roundelay.running.events import OnEvent
from roundelay.running.run import nobody_watches, run_study
from roundelay.study.file import parse_study
from roundelay.study.preset import preset_text
from roundelay.study.study import Study

ENCODER = "encoder."

HOSPITALS, ROUNDS = 5, 10
"""Of the synthetic cohort; of the run, after each of which it can be gone on with."""

PRESET = "benchmark"
"""Whose recipe it is, all synthetic patients in one place."""

MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A file of weights, its digest, the run that made it and the slice-visits that it took."""

    path: Path
    sha256: str
    encoder: str
    slice_visits: int
    run: Path

    def lines(self) -> str:
        """What a study says to take it."""
        return (
            f'[model]\nencoder = "{self.encoder}"\nweights = "{self.path}"\n'
            f'weights_sha256 = "{self.sha256}"'
        )


def pretraining(encoder: str, *, seed: int = 0, slices: int = 6000) -> Study:
    """The study that pretrains: the preset's recipe on the synthetic cohort, pooled, for about so
    many slice-visits. Raises StudyError for what no study can have."""
    if not 1 <= slices <= MOST:
        raise StudyError(f"{slices} slice-visits can't be made: give a number from 1 to {MOST:,}.")
    text = preset_text(PRESET)
    preset = parse_study(text, where=f"preset {PRESET}", folder=Path(), data=Path())
    plan = preset.model_dump(mode="json", exclude_none=True)
    batch = plan["recipe"]["batch"]
    plan["recipe"] |= {
        "rounds": ROUNDS, "steps": max(1, round(slices / (ROUNDS * HOSPITALS * batch))),
    }  # fmt: skip
    if encoder not in ENCODERS:
        plan["recipe"]["deep_supervision"] = 0.0
    plan["data"] |= {"format": "phantom", "root": ""}
    plan["model"] = {"encoder": encoder, "weights": "none"}
    plan |= {"name": f"pretraining of {encoder}", "arms": ["pooled"], "seeds": [seed]}
    plan["evaluation"] |= {"samples": False}
    try:
        return Study.model_validate_json(json.dumps(plan))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StudyError(f"Such a pretraining can't be run: {place}: {first['msg']}.") from error


def pretrain(
    study: Study,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    on_event: OnEvent = nobody_watches,
) -> Pretrained:
    """Run a study of one model on synthetic patients and write its encoder's weights to `out`.

    The run stays beside it, as proof of what the weights have seen. Raises RunFolderError where
    something is in the place of either, and what `run_study` raises.
    """
    refuse_place_of_weights(out)
    run = run_folder_of(out)
    result = run_study(study, run, resume=resume, device=device, on_event=on_event)
    (arm,) = result.arms
    arrays = start_of(run, arm.label).part(MODEL)
    header = PretrainedHeader(
        format=1,
        encoder=study.model.encoder,
        source="synthetic patients (the phantom), by roundelay pretrain",
        slice_visits=arm.slice_visits,
        study=study.digest,
        cohort=read_record(run)["cohort"],
        head=str(head_of_run(run)),
    )
    write_encoder(out, arrays, header)
    return Pretrained(out, file_digest(out), study.model.encoder, arm.slice_visits, run)


def run_folder_of(out: Path) -> Path:
    """Where the run of a file of weights lies: beside it."""
    return out.with_name(f"{out.stem}-run")


def refuse_place_of_weights(out: Path) -> None:
    """Raise RunFolderError where the file is there, or can't be a file of weights."""
    if out.suffix != ".safetensors":
        raise RunFolderError(f"Weights are a .safetensors file: call it {out}.safetensors.")
    if out.exists():
        raise RunFolderError(f"{out} is there already. Choose another name, or remove it.")


def write_encoder(out: Path, arrays: Arrays, header: PretrainedHeader) -> None:
    """Write the encoder's weights of a model, by the encoder's own names. Equal ones give equal
    bytes. Raises ModelError for a model whose encoder isn't called so."""
    own = {n.removeprefix(ENCODER): a for n, a in arrays.items() if n.startswith(ENCODER)}
    if not own:
        raise ModelError(f"The network of {header.encoder} has no part that is called encoder.")
    metadata = {PRETRAINED: json.dumps(header.model_dump(), sort_keys=True)}
    write_bytes(out, safetensors.numpy.save(dict(sorted(own.items())), metadata))

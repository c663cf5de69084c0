"""What the header of model.safetensors says of a study; read and written without PyTorch."""

import json
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from roundelay.study.sections import Size, Threshold
from roundelay.study.study import Study

KEY = "roundelay"

FORMAT = 2


class Header(BaseModel):
    """A header read back: what prediction reads of it can't be wrong."""

    model_config = ConfigDict(strict=True, frozen=True)

    format: Literal[1, 2]
    encoder: str
    intensity: Literal["zscore", "percentile"]
    crop: Literal["none", "brain"]
    size: Size
    threshold: Threshold
    test_time_augmentation: Annotated[
        bool, Field(validation_alias=AliasChoices("test_time_augmentation", "flips"))
    ]
    study: str
    synthetic: bool


def model_metadata(study: Study) -> dict[str, str]:
    """The file's metadata: all that prediction needs to know of the study."""
    header = {
        "format": FORMAT,
        "encoder": study.model.encoder,
        "intensity": study.data.intensity,
        "crop": study.data.crop,
        "size": study.data.size,
        "threshold": study.evaluation.threshold,
        "test_time_augmentation": study.evaluation.test_time_augmentation,
        "study": study.digest,
        "synthetic": study.data.format == "phantom",
    }
    # One key alone: safetensors doesn't promise the order of several.
    return {KEY: json.dumps(header, sort_keys=True)}

"""What the header of model.safetensors says of a study; read and written without PyTorch."""

import json
from typing import Annotated

from pydantic import AliasChoices, Field, ValidationError

from roundelay.files.toml_file import Section
from roundelay.study.sections import Crop, Intensity, Line, Side, Threshold
from roundelay.study.study import Study

KEY = "roundelay"

FORMAT = 2


class ModelHeader(Section):
    """What a model's file says of itself, within the bounds that a study has."""

    format: Annotated[int, Field(ge=1, le=FORMAT)]
    encoder: Line
    intensity: Intensity
    crop: Crop
    size: Side
    threshold: Threshold
    test_time_augmentation: bool = Field(
        validation_alias=AliasChoices("test_time_augmentation", "flips")
    )
    study: Line
    synthetic: bool


def parse_header(text: str) -> ModelHeader:
    """The header of a model. Raises ValueError with its first fault."""
    try:
        return ModelHeader.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "header"
        raise ValueError(f"{place}: {first['msg']}") from error


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

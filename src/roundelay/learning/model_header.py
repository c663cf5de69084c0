"""What the header of model.safetensors says of a study; read and written without PyTorch."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, ValidationError, model_validator

from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.files.toml_file import Section
from roundelay.learning.weights_source import WeightsSource
from roundelay.study.data_section import (
    MOST_CHANNELS,
    MOST_REGIONS,
    Align,
    Data,
    FormatName,
    Millimetres,
    Plain,
    Plane,
    Value,
    Values,
)
from roundelay.study.sections import Crop, Intensity, Line, Side, Threshold
from roundelay.study.study import Study

KEY = "roundelay"

FORMAT = 2


class ImagesHeader(Section):
    """How a model's exams are read, where they are no slices of the LGG set's layout."""

    format: FormatName
    channels: Annotated[tuple[Plain, ...], Field(min_length=1, max_length=MOST_CHANNELS)]
    regions: Annotated[
        tuple[tuple[Plain, Values], ...], Field(min_length=1, max_length=MOST_REGIONS)
    ]
    ignored: tuple[Value, ...]
    plane: Plane
    align: Align
    spacing: Millimetres | None

    @property
    def settings(self) -> ImageSettings:
        return ImageSettings(self.channels, self.regions, self.ignored, self.plane, self.align)


class ModelHeader(Section):
    """What a model's file says of itself, within the bounds that a study has."""

    format: Annotated[int, Field(ge=1, le=FORMAT)]
    encoder: Line
    intensity: Intensity
    crop: Crop
    size: Side
    threshold: Threshold | Annotated[tuple[Threshold, ...], Field(min_length=1)]
    test_time_augmentation: bool = Field(
        validation_alias=AliasChoices("test_time_augmentation", "flips")
    )
    study: Line
    synthetic: bool
    images: ImagesHeader | None = None
    neighbours: Annotated[int, Field(ge=0, le=3)] = 0
    deep_supervision: bool = False
    weights: WeightsSource | None = None

    @model_validator(mode="after")
    def _a_threshold_each(self) -> Self:
        regions = len(self.image_settings.regions)
        if isinstance(self.threshold, tuple) and len(self.threshold) != regions:
            raise ValueError(f"it has {len(self.threshold)} thresholds for {regions} regions")
        return self

    @property
    def image_settings(self) -> ImageSettings:
        return LGG_SETTINGS if self.images is None else self.images.settings

    @property
    def layout(self) -> str:
        """The format of the images that it was trained on."""
        return "lgg" if self.images is None else self.images.format


def parse_header(text: str) -> ModelHeader:
    """The header of a model. Raises ValueError with its first fault."""
    try:
        return ModelHeader.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "header"
        raise ValueError(f"{place}: {first['msg']}") from error


def model_metadata(
    study: Study,
    thresholds: tuple[float, ...] = (),
    weights: Mapping[str, Any] | None = None,
    *,
    synthetic: bool = False,
) -> dict[str, str]:
    """The file's metadata: all that prediction needs to know of the study, the `thresholds` by
    region where they were chosen for this model, and what is known of the encoder's first
    `weights`. `synthetic`: the patients were, whatever the format."""
    header: dict[str, Any] = {
        "format": FORMAT,
        "encoder": study.model.encoder,
        "intensity": study.data.intensity,
        "crop": study.data.crop,
        "size": study.data.size,
        "threshold": list(thresholds) or study.evaluation.given_threshold,
        "test_time_augmentation": study.evaluation.test_time_augmentation,
        "study": study.digest,
        "synthetic": synthetic or study.data.format == "phantom",
    }
    if study.recipe.deep_supervision:
        header["deep_supervision"] = True
    if study.data.neighbours:
        header["neighbours"] = study.data.neighbours
    if weights:
        header["weights"] = dict(weights)
    if not study.data.is_lgg:
        header["images"] = _images_of(study.data)
    # One key alone: safetensors doesn't promise the order of several.
    return {KEY: json.dumps(header, sort_keys=True)}


def _images_of(data: Data) -> dict[str, Any]:
    return {
        "format": data.format,
        "channels": data.channel_names,
        "regions": list(data.regions.items()),
        "ignored": data.ignored_labels,
        "plane": data.plane,
        "align": data.align,
        "spacing": data.spacing,
    }

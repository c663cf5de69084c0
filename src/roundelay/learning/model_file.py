"""model.safetensors: the weights that predict, and in its header what prediction needs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from torch import nn

from roundelay.data.image_settings import settings_of
from roundelay.data.preprocessing import Preprocessing, preprocessing_of
from roundelay.errors import ModelError
from roundelay.files.arrays import Arrays
from roundelay.files.regular import refuse_special
from roundelay.files.writing import write_bytes
from roundelay.learning.model_header import KEY, parse_header
from roundelay.learning.predict import InferenceSettings
from roundelay.learning.state import load_model
from roundelay.study.network_shape import NetworkShape
from roundelay.study.study import Study


def inference_settings_of(study: Study, thresholds: tuple[float, ...] = ()) -> InferenceSettings:
    """How this study's models read a patient; `thresholds` by region, where they were chosen."""
    evaluation = study.evaluation
    return InferenceSettings(
        preprocessing_of(study.data),
        thresholds or evaluation.given_threshold,
        evaluation.test_time_augmentation,
        settings_of(study.data),
    )


def write_model(path: Path, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write weights and header, as `model_metadata` gives it. Equal ones give equal bytes."""
    write_bytes(path, safetensors.numpy.save(dict(sorted(arrays.items())), dict(metadata)))


def read_model(path: Path) -> tuple[nn.Module, InferenceSettings, dict[str, Any]]:
    """A network ready to predict, from a model file or a run folder with one model.

    Raises ModelError for anything else.
    """
    path = find_model(path)
    try:
        refuse_special(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            known = parse_header(metadata[KEY])
            header: dict[str, Any] = json.loads(metadata[KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings = InferenceSettings(
            Preprocessing(
                known.intensity,
                known.crop,
                known.size,
                known.images.spacing if known.images else None,
                known.neighbours,
            ),
            known.threshold,
            known.test_time_augmentation,
            known.image_settings,
        )
        shape = NetworkShape(
            known.encoder,
            len(settings.images.channels) * (1 + 2 * known.neighbours),
            len(settings.images.regions),
            known.deep_supervision,
        )
    except (OSError, safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{path} is not a model of Roundelay ({error}). Give the model.safetensors of a run's"
            " arm, or a run folder."
        ) from error
    _refuse_infinite(path, arrays)
    return load_model(shape, arrays), settings, header


def _refuse_infinite(path: Path, arrays: Arrays) -> None:
    """Raise ModelError for weights that aren't numbers: what comes of such is no mask."""
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise ModelError(
                f"{path} holds weights that aren't finite ({name}): the file was changed, or its"
                " training went wrong. Put it back from a copy, or train anew."
            )


def find_model(path: Path) -> Path:
    """The file itself, or that of a run folder with one model. Raises ModelError."""
    if not path.is_dir():
        return path
    found = sorted([*path.glob("model.safetensors"), *path.glob("arms/*/model.safetensors")])
    if len(found) == 1:
        return found[0]
    if any(path.glob("fold-*/arms/*/model.safetensors")):
        raise ModelError(
            f"{path} holds a model for each fold, made to be scored: each was trained without the"
            " patients of its fold. For the model to use run the study once more without folds, and"
            " give that run."
        )
    if not found:
        raise ModelError(f"{path} holds no finished model (arms/*/model.safetensors).")
    names = ", ".join(str(p.relative_to(path)) for p in found)
    raise ModelError(
        f"{path} holds {len(found)} models: {names}. Give one in its place, such as {found[0]}."
    )

"""model.safetensors: what is written is read back; first format too; other files are refused."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from roundelay.data.volumes import Volume
from roundelay.errors import ModelError
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import KEY, inference_settings_of, read_model, write_model
from roundelay.learning.model_header import model_metadata
from roundelay.learning.networks import build_network
from roundelay.learning.predict import marked_by, predict, predict_probabilities
from roundelay.learning.state import model_arrays
from surveys import study

PLAN = study(
    model={"encoder": "resnet18_quarter"},
    data={"size": 64, "crop": "brain"},
    evaluation={"threshold": 0.25, "test_time_augmentation": True},
)


@pytest.fixture(scope="module")
def arrays():
    return model_arrays(build_network("resnet18_quarter", seed=1))


def rewritten(path, arrays, change):
    with safetensors.safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()[KEY])
    change(header)
    safetensors.numpy.save_file(arrays, path, {KEY: json.dumps(header)})


def test_weights_and_settings_come_back_as_they_were(tmp_path, arrays):
    write_model(tmp_path / "model.safetensors", arrays, model_metadata(PLAN))

    network, settings, header = read_model(tmp_path / "model.safetensors")

    assert settings == inference_settings_of(PLAN)
    assert (settings.threshold, settings.test_time_augmentation) == (0.25, True)
    assert header["study"] == PLAN.digest
    found = model_arrays(network)
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_thresholds_that_were_chosen_travel_in_the_file_one_for_each_region(tmp_path, arrays):
    write_model(tmp_path / "model.safetensors", arrays, model_metadata(PLAN, (0.7,)))

    _, settings, header = read_model(tmp_path / "model.safetensors")

    assert settings == inference_settings_of(PLAN, (0.7,))
    assert (settings.threshold, header["threshold"]) == ((0.7,), [0.7])


def test_thresholds_for_other_regions_than_it_has_are_refused(tmp_path, arrays):
    write_model(tmp_path / "model.safetensors", arrays, model_metadata(PLAN, (0.7, 0.4)))

    with pytest.raises(ModelError, match="2 thresholds for 1 regions"):
        read_model(tmp_path / "model.safetensors")


def test_each_region_is_cut_at_its_own_threshold():
    likely = np.linspace(0.05, 0.95, 24, dtype=np.float32).reshape(2, 1, 3, 4)
    of_all, of_each = inference_settings_of(PLAN, ()), inference_settings_of(PLAN, (0.3, 0.8))

    assert np.array_equal(marked_by(likely, of_all), likely > 0.25)
    assert np.array_equal(
        marked_by(likely, of_each), np.stack([likely[0] > 0.3, likely[1] > np.float32(0.8)])
    )


def test_masks_are_cut_where_the_probabilities_are(arrays):
    network, machine = build_network("resnet18_quarter", seed=1), Machine("cpu", False, False)
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype(np.uint8)
    volume = Volume(np.moveaxis(images, -1, 0), np.zeros((1, 2, 64, 64), bool))
    likely = predict_probabilities(network, volume, inference_settings_of(PLAN), machine)
    middle = float(np.median(likely[likely > 0]))
    settings = inference_settings_of(PLAN, (middle,))

    found = predict(network, volume, settings, machine)

    assert np.array_equal(found, marked_by(likely, settings)) and found.any()


def test_equal_weights_of_one_study_give_equal_bytes(tmp_path, arrays):
    write_model(tmp_path / "a", arrays, model_metadata(PLAN))
    write_model(tmp_path / "b", dict(reversed(arrays.items())), model_metadata(PLAN))

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_of_the_first_format_is_read(tmp_path, arrays):
    def back(header):
        header["format"] = 1
        header["flips"] = header.pop("test_time_augmentation")

    path = tmp_path / "model.safetensors"
    write_model(path, arrays, model_metadata(PLAN))
    rewritten(path, arrays, back)

    assert read_model(path)[1] == inference_settings_of(PLAN)


def test_a_file_without_our_header_is_refused(tmp_path, arrays):
    safetensors.numpy.save_file(arrays, tmp_path / "other.safetensors")

    with pytest.raises(ModelError, match="not a model of Roundelay"):
        read_model(tmp_path / "other.safetensors")


@pytest.mark.parametrize("value", [None, [], {}, -1, 0, 33, True, float("nan"), 10**40, "\x1b[2J"])
@pytest.mark.parametrize(
    "key", ["format", "encoder", "intensity", "crop", "size", "threshold", "study", "synthetic"]
)
def test_a_header_beyond_what_a_study_may_say_is_refused(tmp_path, arrays, key, value):
    if (key, value) == ("synthetic", True):
        return
    path = tmp_path / "model.safetensors"
    write_model(path, arrays, model_metadata(PLAN))
    rewritten(path, arrays, lambda header: header.update({key: value}))

    with pytest.raises(ModelError, match="not a model of Roundelay"):
        read_model(path)


@pytest.mark.parametrize("key", ["format", "size", "threshold", "synthetic"])
def test_a_header_that_lacks_a_key_is_refused(tmp_path, arrays, key):
    path = tmp_path / "model.safetensors"
    write_model(path, arrays, model_metadata(PLAN))
    rewritten(path, arrays, lambda header: header.pop(key))

    with pytest.raises(ModelError, match=f"not a model of Roundelay.*{key}"):
        read_model(path)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(odd, tmp_path, arrays):
    name = next(name for name, array in arrays.items() if array.dtype == np.float32)
    spoilt = arrays[name].copy()
    spoilt.flat[-1] = odd
    write_model(tmp_path / "model.safetensors", {**arrays, name: spoilt}, model_metadata(PLAN))

    with pytest.raises(ModelError, match=f"aren't finite \\({name}\\)"):
        read_model(tmp_path / "model.safetensors")

"""Neighbouring slices as further channels (2.5-D): which, in what order, and that all agree."""

import numpy as np
import pytest
import torch

import roundelay
from roundelay.data.formats.known import read_volume
from roundelay.data.formats.lgg import find_patients
from roundelay.data.opening import read_patients
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.slice_cache import SliceCache
from roundelay.learning.augment import Augmentation, augment
from roundelay.learning.inputs import scaled
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import InferenceSettings, predict_probabilities
from roundelay.phantom.cohort import make_toy
from surveys import study

SEEN = Preprocessing("zscore", "none", 32, neighbours=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_toy(
        tmp_path_factory.mktemp("toy") / "data", patients={"NORTH": 4}, slices=4, size=64
    )


def test_the_nearest_come_first_and_the_ends_again():
    far = Preprocessing("zscore", "none", 32, neighbours=2)

    assert [SEEN.seen_with(n, 3) for n in range(3)] == [[0, 0, 1], [1, 0, 2], [2, 1, 2]]
    assert far.seen_with(1, 3) == [1, 0, 2, 0, 2]
    assert Preprocessing("zscore", "none", 32).seen_with(1, 3) == [1]


def test_what_is_kept_is_the_same_with_and_without(data, tmp_path):
    (patient, *_) = read_patients(find_patients(data).patients)
    alone = SliceCache(Preprocessing("zscore", "none", 32), tmp_path)
    planes = [alone.slice(patient, n)[0] for n in range(4)]

    image, masks = SliceCache(SEEN, tmp_path).slice(patient, 3)

    assert len(list(tmp_path.iterdir())) == 1
    assert np.array_equal(image, np.concatenate([planes[3], planes[2], planes[3]], axis=-1))
    assert np.array_equal(masks, alone.slice(patient, 3)[1])


def test_what_happens_to_a_channel_happens_to_its_neighbours():
    images = torch.randn(16, 3, 32, 32).repeat(1, 3, 1, 1)
    masks = torch.zeros(16, 1, 32, 32)
    settings = Augmentation(channel_dropout=0.5, neighbours=1)

    found, _ = augment(images, masks, torch.Generator().manual_seed(0), settings)

    assert torch.equal(found[:, :3], found[:, 3:6]) and torch.equal(found[:, :3], found[:, 6:])
    assert not torch.equal(found, images)


def test_a_study_trains_predicts_and_is_scored_with_them(data, tmp_path):
    plan = study(
        data={
            "root": str(data), "size": 32, "split": {"validation": 0.0, "test": 0.5},
            "neighbours": 1,
        },
        model={"encoder": "resnet18_quarter"},
        recipe={"rounds": 1, "steps": 2, "batch": 2, "deterministic": True},
        evaluation={"samples": False},
    )  # fmt: skip
    result = roundelay.run(plan, tmp_path / "RUN")
    again = roundelay.evaluate(tmp_path / "RUN", data)

    ours = {score.patient: score.dice for score in result.scores["cwt-0"]}
    dice = {score.patient: score.dice for score in again.scores}
    # Prediction sums in another order than a run: a voxel at the threshold may change sides.
    assert ours and {name: dice[name] for name in ours} == pytest.approx(ours, abs=0.01)
    network, _, header = read_model(tmp_path / "RUN")
    assert header["neighbours"] == 1
    assert network.get_parameter("encoder.conv1.weight").shape[1] == 9


def test_prediction_shows_the_network_what_training_shows_it(data):
    (patient, *_) = read_patients(find_patients(data).patients)
    cache, given = SliceCache(SEEN, None), []

    class Watching(torch.nn.Module):
        def forward(self, images):
            given.append(images)
            return images[:, :1]

    settings = InferenceSettings(SEEN, 0.5, False)
    predict_probabilities(Watching(), read_volume(patient), settings, find_machine("float32"))

    shown = np.stack([cache.slice(patient, n)[0] for n in range(4)])
    wanted = scaled(torch.from_numpy(shown), [cache.geometry(patient)] * 4)
    assert torch.equal(torch.cat(given), wanted)

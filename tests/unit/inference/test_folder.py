"""A finished model on a folder of patients: its masks, its scores, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from roundelay.data.formats import lgg
from roundelay.errors import DataError, ModelError, RunFolderError
from roundelay.evaluation.scores import score_patient
from roundelay.evaluation.summary import summarize
from roundelay.inference import evaluation, prediction
from roundelay.inference.evaluation import evaluate_model
from roundelay.inference.prediction import predict_folder
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import write_model
from roundelay.phantom.cohort import make_toy
from roundelay.relay.aggregation import final_model
from roundelay.running.starting import start_baton
from surveys import study


@pytest.fixture(scope="module", autouse=True)
def _one_machine():
    """Nothing is measured: both tasks compute alike, whatever this machine is fastest at."""
    with pytest.MonkeyPatch.context() as patch:
        for task in (evaluation, prediction):
            patch.setattr(task, "find_machine", lambda *_, **__: Machine("cpu", False, False))
        yield


@pytest.fixture(scope="module")
def cohort(module_path):
    return make_toy(
        module_path / "data", seed=0, patients={"NORTH": 2, "EAST": 1}, slices=4, size=48
    )


@pytest.fixture(scope="module")
def model(module_path):
    """A model that learnt nothing: what it finds is scattered over the slices."""
    plan = study(
        data={"size": 32, "crop": "brain"},
        model={"encoder": "resnet18"},
        evaluation={"threshold": 0.45},
    )
    write_model(module_path / "model.safetensors", final_model(start_baton(plan, 0)), plan)
    return module_path / "model.safetensors"


@pytest.fixture(scope="module")
def predicted(model, cohort, module_path):
    told = []
    sheets = predict_folder(
        model, cohort, module_path / "MASKS", on_patient=lambda *done: told.append(done)
    )
    return module_path / "MASKS", sheets, told


def names(root, pattern):
    return {str(path.relative_to(root)) for path in root.rglob(pattern)}


def volume(root, patient):
    paths = [root / path.parent.name / path.name for path in patient.masks]
    return np.stack([np.asarray(Image.open(path)) > 0 for path in paths])


def test_masks_have_the_names_the_grid_and_the_values_of_the_inputs_layout(cohort, predicted):
    out, _, _ = predicted

    assert names(out, "*.tif") == names(cohort, "*_mask.tif")
    for path in out.rglob("*.tif"):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("TIFF", "L", (48, 48))
            assert set(np.unique(np.asarray(image))) <= {0, 255}


def test_every_patient_has_a_sheet_and_is_told_of_once(cohort, predicted):
    out, sheets, told = predicted
    patients = lgg.find_patients(cohort).patients

    assert sheets == [out / f"{patient.folder}.png" for patient in patients]
    assert names(out, "*.png") == {sheet.name for sheet in sheets}
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_scores_are_those_of_the_masks_that_are_written(model, cohort, predicted):
    expected = [
        score_patient(
            p.id, p.site, "outside", volume(predicted[0], p), volume(cohort, p)
        )
        for p in lgg.find_patients(cohort).patients
    ]  # fmt: skip
    told = []

    found = evaluate_model(model, cohort, seed=3, on_patient=lambda *done: told.append(done))

    assert all(0 < score.dice < 1 for score in expected)
    assert list(found.scores) == expected
    assert found.summary == summarize(expected, seed=3)
    assert (found.model["encoder"], found.model["threshold"]) == ("resnet18", 0.45)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_masks_that_are_there_are_used_for_nothing(model, cohort, predicted, tmp_path):
    shutil.copytree(cohort, tmp_path / "bare")
    for path in (tmp_path / "bare").rglob("*_mask.tif"):
        path.unlink()

    predict_folder(model, tmp_path / "bare", tmp_path / "MASKS")

    for name in names(predicted[0], "*.tif"):
        assert (tmp_path / "MASKS" / name).read_bytes() == (predicted[0] / name).read_bytes()


def test_without_masks_nothing_can_be_scored(model, cohort, tmp_path):
    shutil.copytree(cohort, tmp_path / "bare")
    for path in (tmp_path / "bare").rglob("*_mask.tif"):
        path.unlink()

    with pytest.raises(DataError, match="has no masks"):
        evaluate_model(model, tmp_path / "bare")


@pytest.mark.parametrize("full", ["a folder", "a file"])
def test_what_lies_in_the_place_of_the_masks_is_left_alone(cohort, tmp_path, full):
    out = tmp_path / "OUT"
    mine = out / "mine.txt" if full == "a folder" else out
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("precious")

    # No model is there either: the folder is looked at first.
    with pytest.raises(RunFolderError, match=r"OUT isn't empty\. Choose another --out"):
        predict_folder(tmp_path / "none.safetensors", cohort, out)

    assert mine.read_text() == "precious"


def test_an_unknown_format_is_answered_with_those_there_are(model, cohort, tmp_path):
    for task in (
        lambda: evaluate_model(model, cohort, format="nifti"),
        lambda: predict_folder(model, cohort, tmp_path / "OUT", format="nifti"),
    ):
        with pytest.raises(RunFolderError, match="--format nifti is unknown; it is lgg"):
            task()
    assert not (tmp_path / "OUT").exists()


def test_a_damaged_image_is_named(model, cohort, tmp_path):
    shutil.copytree(cohort, tmp_path / "data")
    path = sorted((tmp_path / "data").glob("*NORTH_0001*/*_2.tif"))[0]
    path.write_bytes(path.read_bytes()[:200])

    for task in (
        lambda: evaluate_model(model, tmp_path / "data"),
        lambda: predict_folder(model, tmp_path / "data", tmp_path / "OUT"),
    ):
        with pytest.raises(DataError, match=path.name):
            task()


@pytest.mark.parametrize("data", [b"", b"something else", bytes(8), b"\x02" + bytes(7) + b"{}"])
def test_what_is_no_model_is_refused(cohort, tmp_path, data):
    (tmp_path / "m.safetensors").write_bytes(data)

    with pytest.raises(ModelError, match="is not a model of Roundelay"):
        evaluate_model(tmp_path / "m.safetensors", cohort)

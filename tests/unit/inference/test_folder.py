"""A finished model on a folder of patients: its masks, its scores, and what is refused."""

import errno
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from roundelay.cli import results
from roundelay.data.formats import lgg
from roundelay.errors import DataError, DiskFullError, ModelError, RunFolderError, StudyError
from roundelay.evaluation.scores import score_patient
from roundelay.evaluation.summary import summarize
from roundelay.inference import evaluation, prediction
from roundelay.inference.evaluation import evaluate_model
from roundelay.inference.prediction import predict_folder
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import write_model
from roundelay.learning.model_header import model_metadata
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
        model={"encoder": "resnet18_quarter"},
        evaluation={"threshold": 0.45},
    )
    write_model(
        module_path / "model.safetensors", final_model(start_baton(plan, 0)), model_metadata(plan)
    )
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


def test_patients_who_lack_a_sequence_are_told_of_apart(model, cohort, tmp_path, capsys):
    shutil.copytree(cohort, tmp_path / "data")
    folder = next((tmp_path / "data").rglob("*EAST*"))
    for path in folder.glob("*[0-9].tif"):
        image = np.array(Image.open(path))
        image[..., 2] = image[..., 1]
        Image.fromarray(image).save(path)

    found = evaluate_model(model, tmp_path / "data")

    counts = {name: count for name, (count, _) in found.by_sequences.items()}
    assert counts == {"all there": 2, "without post": 1}
    assert evaluate_model(model, cohort).by_sequences == {}
    results.sequences(found.by_sequences)
    assert "without post" in capsys.readouterr().out


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
    assert (found.model["encoder"], found.model["threshold"]) == ("resnet18_quarter", 0.45)
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
    with pytest.raises(RunFolderError, match=r"OUT (isn't empty\.|is a file\.).* another --out"):
        predict_folder(tmp_path / "none.safetensors", cohort, out)

    assert mine.read_text() == "precious"


def test_an_unknown_format_is_answered_with_those_there_are(model, cohort, tmp_path):
    for task in (
        lambda: evaluate_model(model, cohort, format="tiff"),
        lambda: predict_folder(model, cohort, tmp_path / "OUT", format="tiff"),
    ):
        with pytest.raises(RunFolderError, match=r"--format 'tiff' is not known\. Known: lgg"):
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


def test_a_damaged_exam_is_left_out_where_that_is_asked_for(model, cohort, tmp_path):
    shutil.copytree(cohort, tmp_path / "data")
    damaged = sorted((tmp_path / "data").glob("*NORTH_0001*/*_2.tif"))[0]
    damaged.write_bytes(damaged.read_bytes()[:200])
    maskless = next((tmp_path / "data").glob("*EAST*"))
    next(maskless.glob("*_2_mask.tif")).unlink()
    told = []
    how = {"on_bad_exam": "leave-out", "on_found": told.append}

    found = evaluate_model(model, tmp_path / "data", **how)
    predict_folder(model, tmp_path / "data", tmp_path / "OUT", **how)

    assert len(found.scores) == 1 and "NORTH_0002" in found.scores[0].patient
    assert [one.patients for one in told] == [1, 2]  # a mask is not needed to predict
    said = [str(one) for one in told[0].left_out if "can't be used" in one.reason]
    assert "2 (the first:" in said[0] and [one.count for one in found.left_out] == [2]
    written = {path.parent.name for path in (tmp_path / "OUT").rglob("*.tif")}
    assert written == {p.name for p in (tmp_path / "data").iterdir() if p.is_dir()} - {
        damaged.parent.name
    }
    with pytest.raises(StudyError, match="'ignore' is none of refuse, leave-out"):
        evaluate_model(model, tmp_path / "data", on_bad_exam="ignore")


@pytest.mark.parametrize("data", [b"", b"something else", bytes(8), b"\x02" + bytes(7) + b"{}"])
def test_what_is_no_model_is_refused(cohort, tmp_path, data):
    (tmp_path / "m.safetensors").write_bytes(data)

    with pytest.raises(ModelError, match="is not a model of Roundelay"):
        evaluate_model(tmp_path / "m.safetensors", cohort)


def tree(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.suffix in (".tif", ".png")}


def lost(name):
    def damage(path):
        path.write_bytes(b"")
        return "is empty"

    def mask(path):
        path.with_name(f"{path.stem}_mask.tif").write_bytes(b"no")
        return "can't be read"

    return {"an image": damage, "a mask": mask}[name]


@pytest.mark.parametrize("kind", ["an image", "a mask"])
def test_the_last_patients_files_are_looked_at_before_the_first_is_scored(
    kind, model, cohort, tmp_path
):
    shutil.copytree(cohort, tmp_path / "data")
    says = lost(kind)(sorted((tmp_path / "data").glob("*/*_2.tif"))[-1])
    told = []

    with pytest.raises(DataError, match=says):
        evaluate_model(model, tmp_path / "data", on_patient=lambda *done: told.append(done))

    assert told == []


def test_the_last_patients_files_are_looked_at_before_the_first_mask_is_written(
    model, cohort, tmp_path
):
    shutil.copytree(cohort, tmp_path / "data")
    sorted((tmp_path / "data").glob("*/*_2.tif"))[-1].write_bytes(b"")

    with pytest.raises(DataError, match="is empty"):
        predict_folder(model, tmp_path / "data", tmp_path / "OUT")

    assert not (tmp_path / "OUT").exists()


def test_a_sheet_names_the_patient_and_the_sequence_that_it_shows(
    model, cohort, tmp_path, monkeypatch
):
    titles, real = [], prediction.draw_sheet

    def draw(title, *arguments, **named):
        titles.append(title)
        return real(title, *arguments, **named)

    monkeypatch.setattr(prediction, "draw_sheet", draw)
    predict_folder(model, cohort, tmp_path / "OUT")

    folders = sorted(path.name for path in cohort.iterdir() if path.is_dir())
    assert titles == [f"{name}, flair" for name in folders]


@pytest.mark.parametrize("breaks", ["at a sheet", "at a mask", "before any"])
def test_what_breaks_later_leaves_no_half_patient_and_a_second_try_goes_on(
    breaks, model, cohort, predicted, tmp_path, monkeypatch
):
    out, calls = tmp_path / "OUT", []
    name = {
        "at a sheet": "draw_sheet",
        "at a mask": "write_folder",
        "before any": "predict_probabilities",
    }[breaks]
    real = getattr(prediction, name)

    def broken(*arguments, **named):
        calls.append(name)
        if len(calls) == 2:
            raise RuntimeError("power cut")
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(prediction, name, broken)
        with pytest.raises(RuntimeError, match="power cut"):
            predict_folder(model, cohort, out)
    there = [path for path in out.iterdir() if path.is_dir()]
    assert [len([*path.iterdir()]) for path in there] == [4]

    found = []
    predict_folder(model, cohort, out, on_found=found.append)

    assert (found[0].patients, found[0].finished) == (3, 1)
    assert tree(out) == tree(predicted[0])
    assert not list(out.glob("*unfinished*")) and not list(out.rglob("*.tmp"))


def test_what_a_kill_left_is_cleared_away(model, cohort, predicted, tmp_path):
    out = tmp_path / "OUT"
    predict_folder(model, cohort, out)
    (gone,) = [path for path in out.iterdir() if "EAST" in path.name and path.is_dir()]
    gone.rename(out / ".unfinished-4711")
    (out / ".prediction.json.4711.tmp").write_bytes(b"{")

    predict_folder(model, cohort, out)

    assert tree(out) == tree(predicted[0])
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} <= {".lock"}


def test_only_the_same_model_and_patients_are_gone_on_with(model, cohort, tmp_path):
    out = tmp_path / "OUT"
    predict_folder(model, cohort, out)
    before = tree(out)
    (tmp_path / "other.safetensors").write_bytes(model.read_bytes())
    shutil.copytree(cohort, tmp_path / "more")
    path = sorted((tmp_path / "more").glob("*/*_2.tif"))[0]
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    plan = study(model={"encoder": "resnet18_quarter"}, data={"size": 64})
    write_model(
        tmp_path / "another.safetensors", final_model(start_baton(plan, 0)), model_metadata(plan)
    )

    predict_folder(tmp_path / "other.safetensors", cohort, out)  # the same bytes elsewhere
    with pytest.raises(RunFolderError, match="differ in patients"):
        predict_folder(model, tmp_path / "more", out)
    with pytest.raises(RunFolderError, match="differ in model"):
        predict_folder(tmp_path / "another.safetensors", cohort, out)
    assert tree(out) == before

    next(out.glob("*/*_mask.tif")).unlink()
    with pytest.raises(RunFolderError, match="isn't whole"):
        predict_folder(model, cohort, out)


def test_a_full_disk_is_said_and_the_same_command_goes_on(
    model, cohort, predicted, tmp_path, monkeypatch
):
    out, syncs = tmp_path / "OUT", []

    def fsync(descriptor):
        syncs.append(descriptor)
        if len(syncs) > 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(DiskFullError, match=r"masks of .* were not written.*it goes on"):
            predict_folder(model, cohort, out)
    assert len([path for path in out.iterdir() if path.is_dir()]) <= 1

    predict_folder(model, cohort, out)

    assert tree(out) == tree(predicted[0])


def test_paths_may_be_texts(model, cohort, predicted, tmp_path):
    predict_folder(str(model), str(cohort), str(tmp_path / "OUT"))
    found = evaluate_model(str(model), str(cohort))

    assert tree(tmp_path / "OUT") == tree(predicted[0])
    assert len(found.scores) == 3


def test_masks_that_can_not_be_drawn_are_said_and_stop_no_prediction(
    model, cohort, predicted, tmp_path
):
    shutil.copytree(cohort, tmp_path / "data")
    masks = sorted((tmp_path / "data").glob("*/*_mask.tif"))
    masks[0].write_bytes(b"no")
    masks[-1].unlink()
    found = []

    predict_folder(model, tmp_path / "data", tmp_path / "OUT", on_found=found.append)

    assert {name: data for name, data in tree(tmp_path / "OUT").items() if "mask" in name} == {
        name: data for name, data in tree(predicted[0]).items() if "mask" in name
    }
    said = [one.reason for one in found[0].left_out]
    assert ["some of their slices" in said[0], "can't be used" in said[1], len(said)] == [1, 1, 2]


def test_two_dates_of_a_patient_are_predicted_but_not_scored_as_two(model, cohort, tmp_path):
    shutil.copytree(cohort, tmp_path / "data")
    folder = sorted((tmp_path / "data").glob("*EAST*"))[0]
    later = folder.with_name(f"{folder.name[:-8]}20300101")
    later.mkdir()
    for path in folder.iterdir():
        picture = np.asarray(Image.open(path))[::-1]
        Image.fromarray(picture).save(later / path.name.replace(folder.name, later.name))

    sheets = predict_folder(model, tmp_path / "data", tmp_path / "OUT")
    assert {folder.name, later.name} <= {path.stem for path in sheets}
    with pytest.raises(DataError, match="has two folders"):
        evaluate_model(model, tmp_path / "data")


def test_one_picture_under_two_patients_is_not_scored(model, cohort, tmp_path):
    shutil.copytree(cohort, tmp_path / "data")
    east = sorted((tmp_path / "data").glob("*EAST*/*_2.tif"))[0]
    north = sorted((tmp_path / "data").glob("*NORTH*/*_3.tif"))[0]
    shutil.copy(east, north)

    with pytest.raises(DataError, match="same picture stands under two patients"):
        evaluate_model(model, tmp_path / "data")


def test_predictions_among_the_patients_are_no_patients(model, cohort, tmp_path):
    shutil.copytree(cohort, tmp_path / "data")
    predict_folder(model, cohort, tmp_path / "data" / "MASKS")
    found = []

    predict_folder(model, tmp_path / "data", tmp_path / "MASKS", on_found=found.append)
    evaluate_model(model, tmp_path / "data", on_found=found.append)

    assert [one.patients for one in found] == [3, 3]
    assert all("hold predictions" in str(one.left_out[0]) for one in found)


def test_a_folder_behind_one_that_is_not_there_is_looked_at_too(model, cohort, tmp_path):
    (tmp_path / "OUT").mkdir()
    (tmp_path / "OUT" / "mine.txt").write_text("precious")

    with pytest.raises(RunFolderError, match="isn't empty"):
        predict_folder(model, cohort, tmp_path / "nope" / ".." / "OUT")
    assert [path.name for path in (tmp_path / "OUT").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("task", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("channels", "regions", "why"),
    [
        (("t1ce", "t1", "flair"), {"tumour": (1,)}, "pre, flair, post.*trained on t1ce, t1, flair"),
        (("t1ce", "t1", "t2", "flair"), {"tumour": (1,)}, "trained on t1ce, t1, t2, flair"),
        (("pre", "flair", "post"), {"whole": (1, 2), "core": (1,)}, "marks whole, core"),
    ],
)
def test_slices_of_fixed_channels_never_pass_for_others(
    cohort, tmp_path, task, channels, regions, why
):
    plan = study(
        data={"format": "nifti", "channels": channels, "labels": regions, "size": 32},
        model={"encoder": "resnet18_quarter"},
    )
    other = tmp_path / "model.safetensors"
    write_model(other, final_model(start_baton(plan, 0)), model_metadata(plan))

    with pytest.raises(StudyError, match=why):
        if task == "evaluate":
            evaluate_model(other, cohort, format="lgg")
        else:
            predict_folder(other, cohort, tmp_path / "out", format="lgg")

    assert not (tmp_path / "out").exists()

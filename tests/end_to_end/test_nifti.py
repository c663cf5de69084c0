"""NIfTI from a folder to scores, report and masks, three regions on one grid."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.metrics import DiceHelper, compute_hausdorff_distance
from typer.testing import CliRunner

import roundelay
from nifti_files import write_head
from roundelay.cli.app import app
from roundelay.data.formats.known import read_volume
from roundelay.data.formats.nifti import find_patients
from roundelay.inference import prediction
from roundelay.learning.machine import find_machine
from roundelay.learning.model_file import read_model
from roundelay.learning.predict import predict

REGIONS = {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)}
STUDY = """
name = "exams of NIfTI"
arms = ["cwt"]
[data]
root = "data"
format = "nifti"
channels = ["t1ce", "t1", "t2", "flair"]
sites = "table:sites.csv"
crop = "brain"
size = 32
[data.labels]
whole = [1, 2, 4]
core = [1, 4]
enhancing = [4]
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 6
batch = 6
learning_rate = 5e-3
deterministic = true
[evaluation]
follow = "round"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A study that was run, and its folder."""
    root = tmp_path_factory.mktemp("nifti")
    rows = ["patient,site,split"]
    for site in ("EAST", "WEST"):
        for number, split in enumerate(("train", "train", "validation", "test")):
            name = f"{site}-{number}"
            write_head(root / "data" / name, len(rows))
            rows.append(f"{name},{site},{split}")
    (root / "sites.csv").write_text("\n".join(rows) + "\n")
    (root / "study.toml").write_text(STUDY)
    roundelay.run(root / "study.toml", root / "RUN")
    return root


def test_every_table_has_every_region(place):
    summary = json.loads((place / "RUN" / "summary.json").read_text())
    validation = json.loads((place / "RUN" / "arms" / "cwt-0" / "validation.json").read_text())
    with (place / "RUN" / "patients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert list(summary["arms"][0]["test"]["regions"]) == ["core", "enhancing"]
    assert summary["arms"][0]["test"]["unit"] == "mm"
    assert set(validation[0]["regions"]) == {"core", "enhancing"}
    assert set(validation[0]["regions"]["core"]) == {"EAST", "WEST"}
    assert len(rows) == 4
    voxel = 1.0 * 1.5 * 5.0
    for row in rows:
        counted = int(row["core_tp"]) + int(row["core_fn"])
        assert float(row["core_reference_volume"]) == pytest.approx(voxel * counted)
    page = (place / "RUN" / "report.html").read_text()
    assert "By region" in page and "enhancing" in page
    assert re.search(r"Dice whole [01]\.\d{3}, core [01]\.\d{3}, enhancing [01]\.\d{3}", page)


def test_the_run_is_verified_and_a_changed_region_is_found(place, tmp_path):

    shutil.copytree(place / "RUN", tmp_path / "RUN")

    assert CliRunner().invoke(app, ["ledger", "verify", str(tmp_path / "RUN")]).exit_code == 0
    scores = tmp_path / "RUN" / "arms" / "cwt-0" / "scores.json"
    values = json.loads(scores.read_text())
    values["scores"][0]["regions"]["core"]["tp"] += 1
    scores.write_text(json.dumps(values))
    assert CliRunner().invoke(app, ["ledger", "verify", str(tmp_path / "RUN")]).exit_code != 0


def test_scores_are_those_of_monai_on_the_masks_that_predict_writes(place, tmp_path):

    roundelay.predict(place / "RUN", place / "data", tmp_path / "OUT")
    found = roundelay.evaluate(place / "RUN", place / "data")

    for score in found.scores:
        written = np.asanyarray(nib.load(tmp_path / "OUT" / f"{score.patient}.nii.gz").dataobj)
        meant = np.asanyarray(
            nib.load(place / "data" / score.patient / f"{score.patient}_seg.nii.gz").dataobj
        )
        # What is written is one value a voxel: the innermost region that marks it.
        marked, wanted = (np.isin(mask, REGIONS["enhancing"]) for mask in (written, meant))
        pair = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (marked, wanted)]
        dice = float(DiceHelper(include_background=True, threshold=False)(*pair)[0].squeeze())
        own = score.of_region("enhancing")
        assert own.dice == pytest.approx(np.nan_to_num(dice, nan=1.0), abs=1e-6)
        if marked.any() and wanted.any():
            distance = compute_hausdorff_distance(
                *pair, include_background=True, percentile=95, spacing=(1.0, 1.5, 5.0)
            )
            assert own.hd95 == pytest.approx(float(distance), abs=1e-4)


@pytest.mark.parametrize("spacing", [0.8, 1.3])
def test_a_model_that_sees_another_spacing_puts_its_masks_where_the_tumour_is(
    place, tmp_path, monkeypatch, spacing
):
    """A network that answers with the picture itself: what it marks is what is bright."""

    def read(path):
        _network, settings, header = read_model(path)
        seen = replace(settings.preprocessing, spacing=spacing, size=64)
        return Bright(), replace(settings, preprocessing=seen), header

    monkeypatch.setattr(prediction, "read_model", read)
    roundelay.predict(place / "RUN", place / "data", tmp_path / "OUT")

    own, exam = tmp_path / "OUT" / "EAST-0.nii.gz", place / "data" / "EAST-0"
    greys = np.asanyarray(nib.load(exam / "EAST-0_t1ce.nii.gz").dataobj).astype(float)
    head = greys[greys > 0]
    bright = greys > head.mean() + 2 * head.std()
    marked = np.asanyarray(nib.load(own).dataobj) > 0
    assert bright.any()
    middles = [np.argwhere(mask).mean(axis=0) for mask in (marked, bright)]
    assert np.allclose(*middles, atol=0.25)
    assert 2 * (marked & bright).sum() / (marked.sum() + bright.sum()) > 0.8


@pytest.mark.parametrize("name", ["UCSF-PDGM-0004_nifti", "x" * 253, "Jürgen Ö"])
def test_a_sheet_is_called_as_its_mask_is(place, tmp_path, name):
    folder = tmp_path / "data" / name
    folder.mkdir(parents=True)
    for path in (place / "data" / "EAST-0").iterdir():
        shutil.copy(path, folder / path.name.removeprefix("EAST-0_"))

    roundelay.predict(place / "RUN", tmp_path / "data", tmp_path / "OUT")

    (sheet,) = (tmp_path / "OUT").glob("*.png")
    assert (tmp_path / "OUT" / f"{sheet.stem}.nii.gz").exists()


class Bright(torch.nn.Module):
    """Marks where the first channel is brighter than two deviations."""

    def forward(self, images):
        return (images[:, :1] - 2.0).repeat(1, len(REGIONS), 1, 1) * 50


def rotated(degrees: float):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def centroid(path: Path):
    """Of a mask in millimetres, RAS+: by nibabel, and by SimpleITK."""
    image = nib.load(path)
    voxel = np.argwhere(np.asanyarray(image.dataobj)).mean(axis=0)
    by_nibabel = (image.affine @ [*voxel, 1])[:3]
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is in the group test")
    there = sitk.ReadImage(str(path)).TransformContinuousIndexToPhysicalPoint(voxel.tolist())
    assert np.allclose(by_nibabel * [-1, -1, 1], there, atol=1e-3)  # ITK counts LPS+
    return by_nibabel


@pytest.mark.parametrize("stored", ["as it is", "RAS", "permuted", "left-handed", "oblique"])
def test_a_mask_lies_where_the_tumour_is_however_the_exam_is_stored(place, tmp_path, stored):
    source = place / "data" / "EAST-0"
    folder = tmp_path / "data" / "EAST-0"
    folder.mkdir(parents=True)
    turn = rotated(12) if stored == "oblique" else np.eye(4)
    for path in source.iterdir():
        image = nib.load(path)
        image = nib.Nifti1Image(np.asanyarray(image.dataobj), turn @ image.affine)
        axes = {"RAS": "RAS", "permuted": "SLP", "left-handed": "LAS"}.get(stored)
        if axes:
            wanted = nib.orientations.axcodes2ornt(axes)
            now = nib.orientations.io_orientation(image.affine)
            image = image.as_reoriented(nib.orientations.ornt_transform(now, wanted))
        image.set_sform(image.affine, 1)
        image.set_qform(image.affine, 1)
        image.to_filename(folder / path.name)

    for data, out in ((place / "data", "PLAIN"), (tmp_path / "data", "STORED")):
        roundelay.predict(place / "RUN", data, tmp_path / out)

    plain, own = (tmp_path / out / "EAST-0.nii.gz" for out in ("PLAIN", "STORED"))
    meant = turn @ [*centroid(plain), 1]
    assert np.allclose(centroid(own), meant[:3], atol=0.01)
    image, exam = nib.load(own), nib.load(folder / "EAST-0_t1ce.nii.gz")
    assert image.shape == exam.shape and image.get_data_dtype() == np.uint8
    assert np.allclose(image.affine, exam.affine, atol=1e-6)
    for name in ("sform_code", "qform_code"):
        assert int(image.header[name]) == int(exam.header[name]) == 1


def test_probabilities_are_those_that_the_mask_was_cut_from(place, tmp_path):
    roundelay.predict(place / "RUN", place / "data", tmp_path / "OUT", probabilities=True)

    mask = np.asanyarray(nib.load(tmp_path / "OUT" / "WEST-3.nii.gz").dataobj)
    likely = {
        name: np.asanyarray(
            nib.load(tmp_path / "OUT" / f"WEST-3_{name}_probability.nii.gz").dataobj
        )
        for name in REGIONS
    }
    assert np.array_equal(mask == 4, likely["enhancing"] > 0.5)
    assert np.array_equal(mask > 0, np.any([one > 0.5 for one in likely.values()], axis=0))


def test_what_predict_marks_is_what_the_network_says_of_the_slices(place, tmp_path):
    network, settings, _ = read_model(place / "RUN")
    patient = find_patients(place / "data", settings.images).patients[0]
    volume = read_volume(patient)
    assert volume.grid is not None

    machine = find_machine("auto")
    marked = predict(machine.place_to_infer(network), volume, settings, machine)
    roundelay.predict(place / "RUN", place / "data", tmp_path / "OUT")

    written = np.asanyarray(nib.load(tmp_path / "OUT" / f"{patient.folder}.nii.gz").dataobj)
    seen = volume.grid.to_slices(written)
    assert np.array_equal(seen == 4, marked[2])
    assert np.array_equal(seen > 0, marked.any(axis=0))

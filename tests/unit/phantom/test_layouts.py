"""The synthetic cohort as NIfTI and as nnU-Net's raw folder."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from roundelay.data.formats import nifti
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError
from roundelay.phantom.cohort import SIGN, make_phantom, make_toy
from roundelay.site.cohort import open_cohort
from roundelay.study.study import Study

PATIENTS = {"NORTH": 2, "EAST": 1}
SETTINGS = ImageSettings(channels=("t1", "flair", "t1ce"))


def toy(root, layout, **more):
    return make_toy(root, seed=1, patients=PATIENTS, slices=4, size=32, layout=layout, **more)


def files(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_folder_an_exam_is_read_as_nifti(tmp_path):
    root = toy(tmp_path / "out", "nifti")

    found = nifti.find_patients(root, SETTINGS).patients

    assert [p.id for p in found] == [
        "PHANTOM_EAST_0001", "PHANTOM_NORTH_0001", "PHANTOM_NORTH_0002",
    ]  # fmt: skip
    volume = nifti.read_volume(found[0])
    assert volume.channels.shape == (3, 4, 32, 32) and volume.channels.dtype == np.int16
    assert volume.spacing == (5.0, 1.0, 1.0)
    assert volume.reference.any() and volume.channels.max() > 255
    assert found[0].attributes["age_at_initial_pathologic"]


def test_nifti_and_lgg_show_the_same_patients_the_same_way_up(tmp_path):
    volumes, slices = toy(tmp_path / "a", "nifti"), toy(tmp_path / "b", "lgg")
    patient = "PHANTOM_NORTH_0001"
    (folder,) = slices.glob(f"{patient}_*")
    found = next(p for p in nifti.find_patients(volumes, SETTINGS).patients if p.id == patient)

    volume = nifti.read_volume(found)

    for number in range(4):
        image = np.asarray(Image.open(folder / f"{folder.name}_{number + 1}.tif"))
        mask = np.asarray(Image.open(folder / f"{folder.name}_{number + 1}_mask.tif")) > 0
        assert (volume.reference[0, number] == mask).all()
        assert np.abs(volume.slices[number] / 8 - image).max() <= 0.57


def test_the_table_places_each_patient(tmp_path):
    root = toy(tmp_path / "out", "nifti")

    with (root / "sites.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert [(row["patient"], row["site"]) for row in rows] == [
        ("PHANTOM_NORTH_0001", "NORTH"),
        ("PHANTOM_NORTH_0002", "NORTH"),
        ("PHANTOM_EAST_0001", "EAST"),
    ]


def test_the_raw_folder_is_as_its_dataset_json_says(tmp_path):
    root = toy(tmp_path / "out", "nnunet")

    said = json.loads((root / "dataset.json").read_text())

    assert said == {
        "channel_names": {"0": "t1", "1": "flair", "2": "t1ce"},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    assert len(list((root / "imagesTr").iterdir())) == 9
    image = nib.load(root / "imagesTr" / "PHANTOM_EAST_0001_0001.nii.gz")
    label = nib.load(root / "labelsTr" / "PHANTOM_EAST_0001.nii.gz")
    assert image.shape == label.shape == (32, 32, 4)
    assert np.allclose(image.affine, label.affine)
    assert np.unique(label.dataobj).tolist() == [0, 1]
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")


@pytest.mark.parametrize("layout", ["nifti", "nnunet"])
def test_the_same_seed_gives_the_same_bytes_and_says_that_nobody_was_scanned(tmp_path, layout):
    first, second = toy(tmp_path / "a", layout), toy(tmp_path / "b", layout)

    assert files(first) == files(second)
    packed = [data for name, data in files(first).items() if name.endswith(".gz")]
    assert packed and all(data[4:8] == bytes(4) for data in packed)  # no time in them
    assert "no patient was scanned" in (first / SIGN).read_text()
    assert f" {layout}: NORTH 2, EAST 1 patients" in (first / SIGN).read_text()


def test_a_folder_of_another_layout_is_refused(tmp_path):
    toy(tmp_path / "out", "nifti")

    with pytest.raises(DataError, match="something other than the synthetic cohort"):
        toy(tmp_path / "out", "nnunet")


def test_nobody_is_told_to_remove_what_is_not_synthetic(tmp_path):
    (tmp_path / "patients").mkdir()
    (tmp_path / "patients" / "scan.nii.gz").touch()

    with pytest.raises(DataError, match=r"something other[\s\S]*Give another folder\.$"):
        toy(tmp_path / "patients", "nifti")


def test_the_cohort_of_the_template_lies_in_its_millimetres(tmp_path):
    pytest.importorskip("nilearn")
    root = make_phantom(tmp_path / "out", patients={"NORTH": 1}, slices=3, layout="nifti")

    (found,) = nifti.find_patients(root, SETTINGS).patients
    volume = nifti.read_volume(found)

    assert np.allclose(volume.spacing, (52.0, 240 / 256, 240 / 256))
    assert volume.grid is not None
    middle = np.array(volume.grid.affine) @ (127.5, 127.5, 0, 1)
    assert np.allclose(middle[:3], (0, -18, -36))
    assert volume.channels[2].any() and (volume.channels[2] != volume.channels[1]).any()


def test_every_channel_of_a_hospital_whose_slices_lack_one_shows_the_head(tmp_path):
    root = make_phantom(tmp_path / "out", patients={"LAKE": 1}, slices=4, layout="nifti")

    (found,) = nifti.find_patients(root, SETTINGS).patients

    for channel in nifti.read_volume(found).channels:
        assert channel.std() > 50


def cohort_of(root, format_, **data):
    images = {"channels": ["t1", "flair", "t1ce"], "labels": {"tumour": [1]}}
    own = {"root": str(root), "format": format_, **images, **data}
    return open_cohort(Study.model_validate_json(json.dumps({"name": "x", "data": own})))


@pytest.mark.parametrize("layout", ["nifti", "nnunet"])
def test_a_cohort_with_its_sign_is_known_as_synthetic_and_no_other(tmp_path, layout):
    root = toy(tmp_path / "out", layout)

    cohort = cohort_of(root, layout)
    text = (root / SIGN).read_text()
    (root / SIGN).write_text("Synthetic images of somebody else's.\n")

    assert cohort.synthetic and cohort.facts(())["synthetic"]
    assert not cohort_of(root, layout).synthetic
    (root / SIGN).write_text(text)
    for path in [path for path in root.rglob("*EAST*") if path.is_file()]:
        path.rename(path.with_name(path.name.replace("PHANTOM_EAST_0001", "Somebody")))
    for path in [path for path in root.glob("*EAST*") if path.is_dir()]:
        path.rename(path.with_name("Somebody"))
    assert not cohort_of(root, layout).synthetic

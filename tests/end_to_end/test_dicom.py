"""A hospital's DICOM from its archive to a model, and a mask back for its viewer."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from safetensors.numpy import load_file

from dicom_files import write_seg, write_series
from roundelay.cli.app import run_app
from roundelay.phantom.cohort import make_toy

SITES = {"NORTH": 3, "EAST": 3}
STUDY = """
name = "{format}"
arms = ["cwt"]
[data]
root = "{format}"
format = "{format}"
channels = ["t1ce", "flair"]
sites = "table:{format}/sites.csv"
split = {{ validation = 0.0, test = 0.34 }}
size = 32
[data.labels]
tumour = [1]
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 2
batch = 2
deterministic = true
[evaluation]
samples = false
"""


@pytest.fixture(scope="module")
def home(module_path) -> Path:
    """The same patients as NIfTI and as DICOM, a trained model of each."""
    pytest.importorskip("highdicom")
    make_toy(module_path / "nifti", seed=1, patients=SITES, slices=6, size=48, layout="nifti")
    for folder in sorted((module_path / "nifti").glob("PHANTOM*")):
        _as_dicom(folder, module_path / "dicom" / folder.name)
    for table in ("data.csv", "sites.csv"):
        (module_path / "dicom" / table).write_bytes((module_path / "nifti" / table).read_bytes())
    for name in ("nifti", "dicom"):
        study = module_path / f"{name}.toml"
        study.write_text(STUDY.format(format=name))
        assert run_app(["run", str(study), "--out", str(module_path / f"{name}-run")]) == 0
    return module_path


def _as_dicom(folder: Path, place: Path) -> None:
    def voxels(name: str) -> np.ndarray:
        array = np.asanyarray(nib.load(folder / f"{folder.name}_{name}.nii.gz").dataobj)
        return np.ascontiguousarray(array.transpose(2, 1, 0))

    own = {"patient": folder.name, "origin": (-23.5, -23.5, 0.0), "spacing": (5.0, 1.0, 1.0)}
    for name, description in (("flair", "AX FLAIR"), ("t1ce", "AX T1 POST"), ("t1", "AX T1")):
        paths = write_series(place / name, voxels(name), description=description, **own)
    write_seg(place / "seg.dcm", paths, {"tumour": voxels("seg") > 0})


@pytest.mark.slow
def test_the_same_patients_as_dicom_and_nifti_give_the_same_model_to_the_bit(home):
    first, second = (
        load_file(home / f"{name}-run" / "arms" / "cwt-0" / "model.safetensors")
        for name in ("nifti", "dicom")
    )

    assert first.keys() == second.keys()
    assert all(first[key].tobytes() == second[key].tobytes() for key in first)


@pytest.mark.slow
def test_scores_and_volumes_are_the_same_too(home):
    first, second = (
        (home / f"{name}-run" / "patients.csv").read_text() for name in ("nifti", "dicom")
    )

    assert first == second


@pytest.mark.slow
def test_predict_writes_a_segmentation_that_refers_to_the_series(home, capsys):
    model, out = home / "dicom-run" / "arms" / "cwt-0" / "model.safetensors", home / "masks"

    assert run_app(["predict", str(model), str(home / "dicom"), "--out", str(out)]) == 0
    assert run_app(["evaluate", str(model), str(home / "dicom"), "--json"]) == 0

    assert json.loads(capsys.readouterr().out.splitlines()[-1])
    made = sorted(path.name for path in out.glob("*.dcm"))
    assert made == sorted(f"{path.name}.dcm" for path in (home / "dicom").glob("PHANTOM*"))
    for name in made:
        found = pydicom.dcmread(out / name)
        assert found.Modality == "SEG" and f"{found.PatientID}.dcm" == name
        assert found.pixel_array.shape == (6, 48, 48)

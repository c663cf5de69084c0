"""A table may name exams that are there and were left out: their rows are no mistakes."""

import re

import pytest

import nnunet_files as files
from nifti_files import write_exam
from nnunet_files import in_place
from roundelay.cli.app import run_app
from roundelay.data.left_out import Found
from roundelay.errors import DataError
from roundelay.phantom.cohort import make_toy
from roundelay.site.cohort import open_cohort
from roundelay.study.file import read_study
from roundelay.study.study import Study

CASES = ["case_1", "case_2", "case_3"]
CHANNELS = {"nifti": files.CHANNELS, "nnunet": files.NAMES, "datalist": files.NAMES}


def nifti_mask(root):
    (root / "case_2" / "case_2_seg.nii.gz").unlink()


def nifti_channel(root):
    (root / "case_2" / f"case_2_{files.CHANNELS[2]}.nii.gz").unlink()


def nifti_header(root):
    (root / "case_2" / f"case_2_{files.CHANNELS[0]}.nii.gz").write_bytes(b"no image")


def raw_mask(root):
    (root / "labelsTr" / "case_2.nii.gz").unlink()


def raw_channel(root):
    (root / "imagesTr" / "case_2_0003.nii.gz").unlink()


def msd_mask(root):
    in_place(root / "dataset.json", lambda found: found["training"][1].update(label="nowhere.nii"))


def list_mask(root):
    in_place(root / "list.json", lambda found: found["training"][1].update(label="nowhere.nii.gz"))


def list_label(root):
    in_place(root / "list.json", lambda found: found["training"][1].pop("label"))


def study_of(root, format_, rows, **sections):
    table = root / "sites.csv"
    table.write_text("patient,site\n" + "".join(f"{name},{site}\n" for name, site in rows))
    data = {"root": str(root), "format": format_, "sites": f"table:{table}"}
    data |= {"on_bad_exam": "leave-out"}
    if format_ in CHANNELS:
        data |= {"channels": CHANNELS[format_], "labels": {"tumour": [1, 2, 3]}}
    return Study.model_validate({"name": "x", "data": data, **sections})


@pytest.mark.parametrize(
    ("format_", "make", "spoil"),
    [
        ("nifti", files.brats, nifti_mask),
        ("nifti", files.brats, nifti_channel),
        ("nifti", files.brats, nifti_header),
        ("nnunet", files.nnunet, raw_mask),
        ("nnunet", files.nnunet, raw_channel),
        ("nnunet", files.msd, msd_mask),
        ("datalist", files.monai, list_mask),
        ("datalist", files.monai, list_label),
    ],
)
def test_a_row_of_an_exam_that_was_left_out_is_known(format_, make, spoil, tmp_path):
    make(tmp_path, CASES)
    spoil(tmp_path)
    rows = [("case_1", "NORTH"), ("case_2", "NORTH"), ("case_3", "LAKE")]
    (tmp_path / "data.csv").write_text("Patient,age\ncase_1,3\ncase_2,4\ncase_3,5\n")

    found = open_cohort(study_of(tmp_path, format_, rows))

    assert {site: [p.id for p in own] for site, own in found.sites.items()} == {
        "NORTH": ["case_1"], "LAKE": ["case_3"],
    }  # fmt: skip
    assert "Rows of data.csv" not in files.said(Found((), found.left_out))
    with pytest.raises(DataError, match="there is no patient 'case_4'"):
        open_cohort(study_of(tmp_path, format_, [*rows, ("case_4", "LAKE")]))


def test_slices_without_a_mask_are_left_out_of_a_table_too(tmp_path):
    root = make_toy(tmp_path / "toy", patients={"A": 2, "B": 1}, slices=2)
    next((root).glob("*A_0001*/*_1_mask.tif")).unlink()
    rows = [("PHANTOM_A_0001", "X"), ("PHANTOM_A_0002", "X"), ("PHANTOM_B_0001", "Y")]

    found = open_cohort(study_of(root, "lgg", rows))

    assert [p.id for p in found.sites["X"]] == ["PHANTOM_A_0002"]


def test_a_site_of_which_no_exam_can_be_used_is_told_and_may_stand_in_the_study(tmp_path):
    files.brats(tmp_path, CASES)
    nifti_mask(tmp_path)
    rows = [("case_1", "NORTH"), ("case_2", "LAKE"), ("case_3", "NORTH")]
    own = {"LAKE": {"channels": {files.CHANNELS[0]: "t9"}}}

    found = open_cohort(study_of(tmp_path, "nifti", rows))
    too = open_cohort(study_of(tmp_path, "nifti", rows, sites=own))

    assert list(found.sites) == list(too.sites) == ["NORTH"]
    said = "Sites of the table sites.csv none of whose exams can be used, left out: 1 (LAKE)."
    assert said in files.said(Found((), found.left_out))
    with pytest.raises(DataError, match=r"\[sites.POND\] stands in the study"):
        open_cohort(study_of(tmp_path, "nifti", rows, sites={"POND": own["LAKE"]}))


def test_init_leaves_out_what_its_table_names(tmp_path, capsys):
    for number in range(4):
        write_exam(tmp_path / "data" / f"P{number}", mask=None if number == 1 else "seg")
    rows = "".join(f"P{number},{'AB'[number % 2]}\n" for number in range(4))
    (tmp_path / "data" / "sites.csv").write_text(f"patient,site\n{rows}")
    out = tmp_path / "study.toml"

    assert run_app(["init", str(tmp_path / "data"), "--out", str(out)]) == 0

    data = read_study(out).data
    assert data.on_bad_exam == "leave-out" and data.sites.startswith("table:")
    assert re.search(r"without mask, left out: 1 \(P1\)", capsys.readouterr().err)

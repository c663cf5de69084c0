"""Exams of sets and lists that can't be used are refused, or left out and named."""

from dataclasses import replace

import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, in_place, said, write_json
from roundelay.data.formats.known import FORMATS
from roundelay.errors import DataError

CASES = ["case_1", "case_2", "case_3"]

LEAVE_OUT = replace(SETTINGS, on_bad_exam="leave-out")


def no_mask(root):
    (root / "labelsTr" / "case_2.nii.gz").unlink()


def no_channel(root):
    (root / "imagesTr" / "case_2_0003.nii.gz").unlink()


def no_image(root):
    (root / "imagesTr" / "case_2_0000.nii.gz").write_bytes(b"no image")


def no_file(path):
    in_place(path, lambda found: found["training"][1].update(label="nowhere.nii.gz"))


def no_entry(root):
    in_place(root / "dataset.json", lambda found: found["training"].insert(1, 3))
    in_place(root / "dataset.json", lambda found: found["training"].pop(2))


@pytest.mark.parametrize(
    ("format_", "make", "spoil"),
    [
        ("nnunet", files.nnunet, no_mask),
        ("nnunet", files.nnunet, no_channel),
        ("nnunet", files.nnunet, no_image),
        ("nnunet", files.msd, no_entry),
        ("datalist", files.monai, no_file),
    ],
)
def test_one_bad_exam_is_refused_or_left_out(format_, make, spoil, tmp_path):
    root = make(tmp_path, CASES)
    spoil(root)

    with pytest.raises(DataError):
        FORMATS[format_].find_patients(root, SETTINGS)
    found = FORMATS[format_].find_patients(root, LEAVE_OUT)

    assert [p.id for p in found.patients] == ["case_1", "case_3"]
    assert "can't be used, left out: 1 (" in said(found)


def test_a_patient_who_stands_twice_is_refused_all_the_same(tmp_path):
    path = files.monai(tmp_path, CASES)
    in_place(path, lambda found: found["training"].append(found["training"][0]))

    with pytest.raises(DataError, match="a leak"):
        FORMATS["datalist"].find_patients(path, LEAVE_OUT)


def test_where_all_are_bad_they_are_refused(tmp_path):
    root = files.nnunet(tmp_path, CASES[:1])
    (root / "labelsTr" / "case_1.nii.gz").unlink()

    with pytest.raises(DataError, match="case_1 has no mask"):
        FORMATS["nnunet"].find_patients(root, LEAVE_OUT)


def test_a_case_that_was_left_out_may_stand_in_a_fold(tmp_path):
    root = files.nnunet(tmp_path, CASES)
    no_mask(root)
    write_json(root / "splits_final.json", [{"train": CASES[1:], "val": CASES[:1]}])

    found = FORMATS["nnunet"].find_patients(root, replace(LEAVE_OUT, fold=0))

    assert [(p.id, p.split) for p in found.patients] == [("case_1", "test"), ("case_3", None)]
    write_json(root / "splits_final.json", [{"train": [*CASES[1:], "x"], "val": CASES[:1]}])
    with pytest.raises(DataError, match="not there"):
        FORMATS["nnunet"].find_patients(root, replace(LEAVE_OUT, fold=0))

"""nnU-Net's lists of folds: the list val tests, the list train trains and validates."""

from dataclasses import replace

import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, said, write_json
from roundelay.data.formats.nnunet import find_patients
from roundelay.data.image_settings import settings_of
from roundelay.data.split import split_patients
from roundelay.errors import DataError
from roundelay.study.data_section import Data, Split

CASES = [f"case_{n}" for n in range(6)]

FOLDS = [
    {"train": CASES[2:], "val": CASES[:2]},
    {"train": CASES[:4], "val": CASES[4:]},
]


@pytest.fixture
def root(tmp_path):
    root = files.nnunet(tmp_path, CASES)
    write_json(root / "splits_final.json", FOLDS)
    return root


def of_fold(root, fold):
    return find_patients(root, replace(SETTINGS, fold=fold))


def test_the_list_val_tests_and_of_the_list_train_some_validate(root):
    for fold, expected in enumerate((CASES[:2], CASES[4:])):
        found = of_fold(root, fold)
        placed = split_patients(found.patients, Split(validation=0.2, test=0.4), 0)

        assert [p.id for p in placed if p.split == "test"] == expected
        assert sum(p.split == "validation" for p in placed) == 1
        assert found.left_out == ()


def test_the_study_names_the_fold():
    data = Data(root="x", format="nnunet", channels=("t1",), labels={"a": (1,)}, fold=3)

    assert settings_of(data).fold == 3


def test_patients_of_two_folds_are_read_alike(root):
    one, other = (of_fold(root, fold).patients[2] for fold in (0, 1))

    assert one.settings == other.settings == SETTINGS


def test_without_a_fold_the_lists_are_not_used_and_that_is_said(root):
    found = find_patients(root, SETTINGS)

    assert {p.split for p in found.patients} == {None}
    assert "the study names no fold: splits_final.json: 1" in said(found)


def test_cases_in_neither_list_are_left_out_and_said(root):
    write_json(root / "splits_final.json", [{"train": CASES[1:4], "val": CASES[:1]}])

    found = of_fold(root, 0)

    assert [p.id for p in found.patients] == CASES[:4]
    assert "do not name, left out: 2 (the first: case_4)" in said(found)


@pytest.mark.parametrize(
    ("folds", "match"),
    [
        ([{"train": CASES[:4], "val": CASES[3:]}], "1 cases stand in train and in val .*case_3"),
        ([{"train": CASES[:4], "val": ["x"]}], "names 1 cases that are not there .*x.*another set"),
        ([], "has no fold 0: it is empty"),
        ([{"train": CASES}], "fold 0, val: must be a list of cases; it is null"),
        ([{"train": CASES, "val": []}], "the list is empty"),
        ([{"train": CASES, "val": [3]}], "fold 0, val: must be a list of cases"),
        ([[]], "fold 0, train: must be a list"),
        ({"train": CASES}, "must hold a list of folds"),
        ("[{},]", "line 1: a comma stands behind the last entry"),
    ],
)
def test_faulty_lists_are_refused(root, folds, match):
    write_json(root / "splits_final.json", folds)

    with pytest.raises(DataError, match=rf"splits_final\.json.*{match}"):
        of_fold(root, 0)


def test_a_fold_that_is_not_there_is_refused(root):
    with pytest.raises(DataError, match="has no fold 2: the last is 1"):
        of_fold(root, 2)

    (root / "splits_final.json").unlink()
    with pytest.raises(DataError, match=r"there is no .*preprocessed set: copy it here"):
        of_fold(root, 0)


@pytest.mark.parametrize("others", [[], ["BraTS-GLI-00002-000"]])
def test_two_exams_of_one_patient_in_both_lists_are_refused(tmp_path, others):
    exams = ["BraTS-GLI-00001-000", "BraTS-GLI-00001-001"]
    root = files.nnunet(tmp_path, [*exams, "BraTS-GLI-00002-000", "BraTS-GLI-00003-000"])
    write_json(root / "splits_final.json", [{"train": [exams[0], *others], "val": [exams[1]]}])

    with pytest.raises(DataError, match=r"of one subject, BraTS-GLI-00001, and stand in two"):
        of_fold(root, 0)


def test_exams_of_one_patient_are_drawn_together(tmp_path):
    exams = [f"BraTS-GLI-0000{n}-00{m}" for n in range(6) for m in range(2)]
    root = files.nnunet(tmp_path, exams)
    write_json(root / "splits_final.json", [{"train": exams[2:], "val": exams[:2]}])

    placed = split_patients(of_fold(root, 0).patients, Split(validation=0.34, test=0.2), 0)

    assert len({(p.subject, p.split) for p in placed}) == 6
    assert [p.id for p in placed if p.split == "test"] == exams[:2]
    assert sum(p.split == "validation" for p in placed) == 4


def test_the_institution_in_a_name_is_the_site(tmp_path):
    root = files.nnunet(tmp_path, ["TCGA-DU-7294", "TCGA-FG-6692"])

    assert [p.site for p in find_patients(root, SETTINGS).patients] == ["DU", "FG"]

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

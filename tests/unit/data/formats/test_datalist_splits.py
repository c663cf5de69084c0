"""Lists that say who trains, validates and tests."""

from dataclasses import replace

import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, entry, said, write_json
from roundelay.data.formats.datalist import find_patients
from roundelay.data.split import split_patients
from roundelay.errors import DataError
from roundelay.study.data_section import Split

CASES = [f"case_{n}" for n in range(8)]


@pytest.fixture(scope="module")
def folder(module_path):
    return files.brats(module_path, CASES)


def found(folder, fold=None, **lists):
    path = folder / "list.json"
    write_json(path, lists)
    return find_patients(path, replace(SETTINGS, fold=fold))


def splits(folder, fold=None, **lists):
    patients = found(folder, fold, **lists).patients
    placed = split_patients(patients, Split(validation=0.25, test=0.25), 0)
    return {
        name: [p.id for p in placed if p.split == name] for name in ("train", "validation", "test")
    }


def entries(first, last, **others):
    return [entry(case, **others) for case in CASES[first:last]]


def test_one_list_alone_is_drawn_from(folder):
    assert [len(own) for own in splits(folder, training=entries(0, 8)).values()] == [4, 2, 2]


def test_three_lists_are_the_three_splits(folder):
    lists = {"training": entries(0, 5), "validation": entries(5, 6), "testing": entries(6, 8)}

    placed = splits(folder, **lists)

    assert placed == {"train": CASES[:5], "validation": CASES[5:6], "test": CASES[6:]}


def test_what_no_list_names_is_drawn_from_those_who_train(folder):
    validated = splits(folder, training=entries(0, 6), validation=entries(6, 8))
    tested = splits(folder, training=entries(0, 6), testing=entries(6, 8))

    assert validated["validation"] == CASES[6:] and len(validated["test"]) == 2
    assert tested["test"] == CASES[6:] and len(tested["validation"]) == 2


def test_a_list_without_labels_tests_nobody(folder):
    placed = splits(folder, training=entries(0, 6), testing=entries(6, 8, label=None))

    assert len(placed["test"]) == 2 and not set(placed["test"]) & set(CASES[6:])


def test_a_fold_tests_and_the_others_train_and_validate(folder):
    training = [entry(case, fold=n % 4) for n, case in enumerate(CASES)]

    placed = splits(folder, fold=1, training=training)

    assert placed["test"] == [CASES[1], CASES[5]]
    assert len(placed["validation"]) == 2 and len(placed["train"]) == 4


def test_a_fold_beside_a_list_of_validation(folder):
    training = [entry(case, fold=n % 2) for n, case in enumerate(CASES[:6])]

    placed = splits(folder, fold=0, training=training, validation=entries(6, 8, fold=0))

    assert placed == {
        "train": CASES[1:6:2],
        "validation": CASES[6:],
        "test": CASES[0:6:2],
    }


def test_folds_that_are_not_used_are_said(folder):
    assert "the study names no fold: 1 (list.json)" in said(
        found(folder, training=entries(0, 2, fold=0))
    )


def test_entries_without_a_fold_train_and_are_said(folder):
    training = [*entries(0, 2, fold=0), *entries(2, 4)]

    assert "without a fold, which train: 2 (the first: case_2)" in said(
        found(folder, 0, training=training)
    )


def test_a_fold_and_a_list_that_both_test_are_refused(folder):
    with pytest.raises(DataError, match=r"has a list of test patients, and .* fold 0 tests"):
        found(folder, 0, training=entries(0, 2, fold=0), testing=entries(2, 3))


def test_a_fold_that_no_entry_has_is_refused(folder):
    with pytest.raises(DataError, match=r"fold 3, and no entry .*there are the folds 0, 1\."):
        found(folder, 3, training=[*entries(0, 1, fold=0), *entries(1, 2, fold=1)])
    with pytest.raises(DataError, match=r"there are no folds\."):
        found(folder, 0, training=entries(0, 2))


def test_two_exams_of_one_subject_in_two_splits_are_refused(folder):
    lists = {
        "training": entries(0, 2, subject="S1"),
        "testing": [*entries(2, 3, subject="S1"), *entries(3, 4, subject="S2")],
    }

    with pytest.raises(DataError, match=r"exams of one subject, S1, and stand in two splits"):
        found(folder, **lists)
    lists["testing"].pop(0)
    assert [p.subject for p in found(folder, **lists).patients] == ["S1", "S1", "S2"]

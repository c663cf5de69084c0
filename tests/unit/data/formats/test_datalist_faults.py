"""Faulty lists and entries: each is refused with a sentence that names its number."""

import os

import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, entry, write_json
from roundelay.data.formats.datalist import (
    find_patients,
    read_volume,
)
from roundelay.errors import DataError

CASES = ["BraTS20_Training_001", "BraTS20_Training_002", "BraTS20_Training_003"]


@pytest.fixture
def list_(tmp_path):
    return files.monai(tmp_path / "set", CASES)


def refused(path, match, settings=SETTINGS, **how):
    with pytest.raises(DataError, match=match) as caught:
        find_patients(path, settings, **how)
    return caught.value


class TestFaults:
    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"image": ["a", "b", "c"]}, "names 3 images, the study 4 channels"),
            ({"image": ["a", "b", "c", "d"]}, "names a, which is not there"),
            ({"image": [1, 2, 3, 4]}, "path of a file as a text; it is 1"),
            ({"image": None}, "it is null"),
            ({"image": {}}, r"it is \{\}"),
            ({"image": "."}, "which is no file"),
            ({"image": "a\0b"}, "which is not there"),
            ({"image": "\ud800"}, "which is not there"),
            ({"image": "x" * 9999}, "which is not there"),
            ({"label": "no.nii.gz"}, "label names no.nii.gz, which is not there"),
            ({"label": ["a", "b"]}, "label must be the path of a file"),
            ({"fold": "1"}, 'fold: must be a whole number from 0 on; it is "1"'),
            ({"fold": -1}, "it is -1"),
            ({"fold": True}, "it is true"),
            ({"subject": 7}, "subject must be who was examined as a text"),
        ],
    )
    def test_a_faulty_entry_is_named_by_its_number(self, list_, change, match):
        write_json(list_, {"training": [entry(CASES[0]), {**entry(CASES[1]), **change}]})

        refused(list_, f"entry 2 of training.*{match}")

    @pytest.mark.parametrize("value", [3, [], {"label": "x"}])
    def test_an_entry_of_another_kind(self, list_, value):
        write_json(list_, {"validation": [value]})

        refused(list_, "entry 1 of validation must be as in")

    def test_all_faulty_entries_are_said_at_once(self, list_):
        write_json(list_, {"training": [3, 4], "testing": [5]})

        assert len(refused(list_, "3 faults").faults) == 3

    def test_a_pipe_is_not_waited_for(self, list_):
        os.mkfifo(list_.parent / "pipe.nii.gz")
        write_json(list_, {"training": [{**entry(CASES[0]), "label": "pipe.nii.gz"}]})

        refused(list_, r"names pipe\.nii\.gz, which is no file")

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ('{"training": [{"image": "x"},]}', "line 1: a comma stands behind the last entry"),
            ('{"training": [] // none\n}', "line 1: a comment stands here"),
            ("[]", "is no list of exams"),
            ('{"training": {}}', "is no list of exams"),
            ('{"training": []}', "lists no exam that has a label"),
        ],
    )
    def test_a_file_that_is_no_list(self, list_, text, match):
        list_.write_text(text)

        refused(list_, match)

    def test_a_folder_without_a_list(self, tmp_path):
        refused(tmp_path, "holds no list of exams")
        refused(tmp_path / "nowhere", "There is no")

    @pytest.mark.parametrize("lists", [("training", "training"), ("training", "testing")])
    def test_a_case_that_stands_twice_is_refused(self, list_, lists):
        values = {"training": [], "testing": []}
        for key in lists:
            values[key].append(entry(CASES[0]))
        write_json(list_, values)

        refused(list_, f"are both the case {CASES[0]}: a leak between splits")

    def test_twelve_bytes_cut_off(self, list_):
        path = list_.parent / CASES[1] / f"{CASES[1]}_t2.nii.gz"
        path.write_bytes(path.read_bytes()[:-12])

        with pytest.raises(DataError, match=r"_t2\.nii\.gz is damaged"):
            read_volume(find_patients(list_, SETTINGS).patients[1])

    def test_what_a_system_left_is_no_image(self, list_):
        (list_.parent / "._x.nii.gz").write_bytes(b"\0\5\x16\7\0\2")
        write_json(list_, {"training": [{**entry(CASES[0]), "image": ["._x.nii.gz"] * 4}]})

        refused(list_, r"\._x\.nii\.gz is no NIfTI file")

"""What refusals say of the next step can be done by the command that was given."""

import pytest

import nnunet_files as files
from nifti_files import write_exam
from roundelay.cli.app import run_app
from roundelay.data.formats import nifti, nnunet
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

KNOWN = ImageSettings(channels=("t1",), regions=(("tumour", (1,)),))


def test_a_value_without_meaning_can_be_given_one_without_a_study(tmp_path):
    write_exam(tmp_path / "set" / "P1", channels=("t1",), labels=(1, 3))
    (patient,) = nifti.find_patients(tmp_path / "set", KNOWN).patients

    with pytest.raises(DataError, match=r"to evaluate and predict in a file .* --site FILE"):
        nifti.read_volume(patient)
    with pytest.raises(DataError, match=r"labels = \{2 = \.\.\.\}.*--site FILE"):
        root = files.nnunet(tmp_path / "raw", ["a"])
        nnunet.find_patients(root, ImageSettings(channels=files.NAMES[:1], regions=KNOWN.regions))


def test_a_folder_of_another_format_is_told_of_by_keys_that_check_has(tmp_path, capsys):
    write_exam(tmp_path / "data" / "P1", channels=("t1",))

    assert run_app(["check", "quick", "--data", str(tmp_path / "data")]) == 2

    said = capsys.readouterr().err
    assert 'format = "nifti" in [data] of the study, or --set data.format=nifti' in said
    assert "to evaluate, predict or start a site: --format nifti" in said


@pytest.mark.parametrize(("file", "says"), [("", "roundelay init"), ("study.toml", "the study in")])
def test_a_folder_in_the_place_of_a_study_is_told_what_to_give(tmp_path, capsys, file, says):
    if file:
        (tmp_path / file).write_text("")

    assert run_app(["check", str(tmp_path)]) == 2

    said = capsys.readouterr().err
    assert "is a folder" in said and f"{says}" in said and "directory" not in said


def test_init_names_all_formats_where_it_finds_none(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("nothing")

    assert run_app(["init", str(tmp_path), "--out", str(tmp_path / "s.toml")]) == 2

    said = capsys.readouterr().err
    assert all(name in said for name in ("lgg", "nifti", "nnunet", "datalist", "dicom"))

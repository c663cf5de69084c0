"""``roundelay phantom``: the arguments it takes, and what it refuses before it draws."""

import json

import pytest

from roundelay.cli.app import run_app
from roundelay.phantom.cohort import SIGN


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--format", "dicom"], "--format 'dicom' is not written. Known: nifti, nnunet, lgg."),
        (["--patients", "NORTH"], "'NORTH' is no hospital and number, such as NORTH=4"),
        (["--patients", "NORTH=0"], "is no hospital and number"),
        (["--patients", "NORTH=9999"], "1000 at most"),
        (["--patients", "NORTH=1", "--patients", "NORTH=2"], "names 'NORTH' twice"),
        (["--patients", "NOWHERE=1"], "no hospital 'NOWHERE'"),
        (["--slices", "0"], "slices"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_what_it_can_not_do_is_said_and_nothing_is_written(tmp_path, capsys, arguments, text):
    assert run_app(["phantom", str(tmp_path / "out"), *arguments]) == 2

    assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_writes_the_cohort_and_says_what_is_next(tmp_path, capsys):
    pytest.importorskip("nilearn")
    place = tmp_path / "out"
    arguments = ["phantom", str(place), "--patients", "NORTH=1", "--slices", "2"]

    assert run_app(arguments) == 0
    said = capsys.readouterr().out
    assert run_app([*arguments, "--json"]) == 0  # it is there whole, and found

    assert "Wrote 1 synthetic patients" in said and f"roundelay init {place}" in said
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(place), "format": "nifti", "patients": {"NORTH": 1},
    }  # fmt: skip
    assert (place / SIGN).is_file() and (place / "sites.csv").is_file()


def test_a_folder_with_anything_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")

    assert run_app(["phantom", str(tmp_path), "--patients", "NORTH=1"]) == 2

    assert "holds something other" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

"""A folder to write into is looked at before the work begins."""

import os
from pathlib import Path

import pytest

from roundelay.errors import MachineError, RunFolderError
from roundelay.files.places import refuse_place


@pytest.fixture
def place(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "images" / "deep").mkdir(parents=True)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "ring").symlink_to("ring")
    (tmp_path / "link").symlink_to(tmp_path / "images")
    (tmp_path / "other").mkdir()
    (tmp_path / "run" / "arms").mkdir(parents=True)
    for name in ("run.json", "study.toml"):
        (tmp_path / "run" / name).write_text("")
    (tmp_path / "good").symlink_to(tmp_path / "other")
    return tmp_path


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("file", "is a file"),
        ("file/RUN", "is a file, so no folder can lie in it"),
        ("file/deep/RUN", "is a file, so no folder can lie in it"),
        ("dangling", "is a link to .*nothing, which isn't there"),
        ("ring", "is a link to ring, which isn't there"),
        ("images", "lies in the folder of the images"),
        ("images/deep/RUN", "lies in the folder of the images"),
        ("other/../images/RUN", "lies in the folder of the images"),
        ("link/RUN", "lies in the folder of the images"),
        ("run/more", "lies in the folder of a run"),
        ("run/arms/cwt-0/deep", "lies in the folder of a run"),
        ("other/../run/more", "lies in the folder of a run"),
    ],
)
def test_what_can_be_no_folder_of_ours_is_refused(place, out, says):
    with pytest.raises(RunFolderError, match=says):
        refuse_place(place / out, images=place / "images")
    assert (place / "file").read_text() == "mine"


@pytest.mark.parametrize("out", ["other", "good", "good/RUN", "new/RUN", "images-2", "imagesRUN"])
def test_any_other_place_is_taken_and_nothing_is_written(place, out):
    before = sorted(place.rglob("*"))

    refuse_place(place / out, images=place / "images")
    refuse_place(place / out)

    assert sorted(place.rglob("*")) == before


def test_a_device_is_no_folder():
    with pytest.raises(RunFolderError, match="is a file"):
        refuse_place(Path(os.devnull))


@pytest.mark.parametrize("out", ["other", "other/RUN"])
def test_a_folder_that_is_closed_is_said_at_once(place, out, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != place / "other")

    with pytest.raises(MachineError, match="is closed to you"):
        refuse_place(place / out)

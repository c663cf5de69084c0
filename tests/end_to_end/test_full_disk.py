"""No room left: what was finished stays, what was not leaves nothing, and the run goes on."""

import errno
import os
import shutil

import pytest
import torch

from roundelay.cli.app import run_app
from roundelay.files import writing
from roundelay.phantom.cohort import make_toy
from surveys import TOY


@pytest.fixture(scope="module")
def home(module_path):
    place = module_path
    make_toy(place / "data", seed=0, patients={"NORTH": 3, "EAST": 3}, slices=4, size=64)
    (place / "study.toml").write_text(TOY)
    torch.set_num_threads(1)
    assert run_app(["run", str(place / "study.toml"), "--out", str(place / "RUN")]) == 0
    return place


def written(run):
    """Every file that must not depend on when it was written."""
    return {p.name: p.read_bytes() for p in run.rglob("*") if p.suffix in (".safetensors", ".csv")}


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 1, 4, 7, 10])
def test_a_full_disk_is_said_and_the_run_goes_on(home, tmp_path, monkeypatch, capsys, room):
    syncs = []

    def fsync(descriptor):
        syncs.append(descriptor)
        if len(syncs) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "RUN"
    arguments = ["run", str(home / "study.toml"), "--out", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr(writing.os, "fsync", fsync)
        code = run_app(arguments)
    begun = (out / "run.json").exists()
    said = capsys.readouterr().err
    assert begun == (room > 1)  # run.json is the second file
    assert code == (3 if begun else 2)
    assert "disk is full" in said and ("--resume" in said) == begun
    assert not list(out.rglob("*.tmp"))

    assert run_app([*arguments, *(["--resume"] if begun else [])]) == 0
    finished = written(out)
    expected = written(home / "RUN")
    # The seconds a visit took are in curve.csv; all other files are the same bytes.
    del finished["curve.csv"], expected["curve.csv"]
    assert finished == expected
    shutil.rmtree(out)

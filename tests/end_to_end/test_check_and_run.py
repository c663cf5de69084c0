"""What `run` would refuse `check` refuses too, in one sentence; what is trained is never lost."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from roundelay.cli import results
from roundelay.cli.app import run_app
from roundelay.cli.check import in_turn_elsewhere
from roundelay.phantom.cohort import make_toy
from roundelay.plan import cost
from roundelay.running import run as running
from roundelay.study.file import read_study
from surveys import TOY


@pytest.fixture(scope="module")
def home(module_path):
    make_toy(module_path / "data", seed=0, patients={"NORTH": 3, "EAST": 3}, slices=4, size=64)
    torch.set_num_threads(1)
    return module_path


@pytest.fixture
def place(home, tmp_path, monkeypatch):
    """A folder of its own with a link to the cohort; commands run there."""
    (tmp_path / "data").symlink_to(home / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without(text, *changes):
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


NO_VALIDATION = ("validation = 0.0", "validation = 0.1")
BAD = {
    "best of no validation": ([NO_VALIDATION, ("samples = false", 'choose = "best"')], "choose = "),
    "worst of no validation": (
        [NO_VALIDATION, ("samples = false", 'choose = "worst-site"')], "needs validation patients",
    ),
    "threshold of no validation": (
        [NO_VALIDATION, ("samples = false", 'threshold = "validation"')],
        'threshold = "validation" needs validation patients',
    ),
    "a run that isn't at hand": (
        [('"resnet18_quarter"', f'"resnet18_quarter"\ngoes_on_from = "{"0" * 64}"')],
        "give that run's folder",
    ),
    "a digest of no file": (
        [('"resnet18_quarter"', f'"resnet18_quarter"\nweights_sha256 = "{"0" * 64}"')],
        "belongs to weights that are a file",
    ),
    "follow no validation": ([NO_VALIDATION, ("samples = false", 'follow = "round"')], "follow = "),
    "left out unknown": ([("samples = false", 'leave_out = "WEST"')], "'WEST' is no site"),
    "large batch": ([("batch = 2", "batch = 50")], "batch = 50 is larger than"),
    "no such order": (
        [("batch = 2", 'batch = 2\nsite_order = ["NORTH", "WEST"]')], "site_order names",
    ),
    "too few slices": ([("size = 32", "size = 32\ntrain_slices = 1")], "train_slices = 1"),
    "too many slices": ([("size = 32", "size = 32\ntrain_slices = 999")], "train_slices = 999"),
    "a key of another arm": (
        [("batch = 2", "batch = 2\nfedprox_mu = 0.5")], "fedprox_mu belongs to the arm fedprox",
    ),
    "no weights": ([('"resnet18_quarter"', '"resnet18"\nweights = "none.pth"')], "no weights file"),
    "too many chunks": ([("size = 32", 'size = 32\nsites = "chunks:99"')], "only 6 patients"),
    "no table": ([("size = 32", 'size = 32\nsites = "table:t.csv"')], "t.csv"),
    "no folder": ([('root = "data"', 'root = "nowhere"')], "There is no folder"),
    "unknown key": ([("batch = 2", "batchs = 2")], "did you mean 'batch'?"),
}  # fmt: skip


def refusal(arguments, capsys):
    assert run_app(arguments) == 2
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_check_and_run_refuse_with_one_sentence_and_nothing_is_written(name, place, capsys):
    changes, says = BAD[name]
    (place / "study.toml").write_text(without(TOY, *changes))

    checked = refusal(["check", "study.toml"], capsys)
    begun = refusal(["run", "study.toml", "--out", "RUN"], capsys)

    assert says in checked.replace("\n", " ")
    assert checked == begun
    assert sorted(p.name for p in place.iterdir()) == ["data", "study.toml"]


@pytest.mark.slow
def test_check_looks_at_the_room_for_the_run(place, capsys, monkeypatch):
    (place / "study.toml").write_text(TOY)
    usage = shutil.disk_usage(place)
    monkeypatch.setattr(cost.shutil, "disk_usage", lambda _: usage._replace(free=1000))

    checked = refusal(["check", "study.toml", "--out", "RUN"], capsys)

    assert "Nothing was written. Make room" in checked
    assert checked == refusal(["run", "study.toml", "--out", "RUN"], capsys)
    assert "Make room" in refusal(["check", "study.toml"], capsys)


@pytest.mark.slow
def test_check_refuses_the_folder_that_run_refuses(place, capsys):
    (place / "study.toml").write_text(TOY)
    (place / "full").mkdir()
    (place / "full" / "thesis.txt").write_text("precious")

    checked = refusal(["check", "study.toml", "--out", "full"], capsys)

    assert checked == refusal(["run", "study.toml", "--out", "full"], capsys)


@pytest.mark.slow
def test_a_site_that_can_not_be_left_out_is_told_before_the_first_run(place, capsys):
    # Without EAST, NORTH alone has fewer training slices than the study draws.
    (place / "study.toml").write_text(without(TOY, ("size = 32", "size = 32\ntrain_slices = 14")))

    said = refusal(["run", "study.toml", "--out", "OUT", "--leave-one-site-out"], capsys)

    assert "left out: train_slices = 14" in said
    assert not (place / "OUT").exists()


@pytest.mark.slow
def test_what_was_left_out_is_said_by_all_that_open_a_folder(home, tmp_path, monkeypatch, capsys):
    shutil.copytree(home / "data", tmp_path / "data")
    (tmp_path / "data" / "A_WEST_1_20200101").mkdir()
    for end in ("_2.tif", "_2_mask.tif"):
        next((tmp_path / "data").glob(f"*NORTH_0001*/*{end}")).unlink()
    (tmp_path / "study.toml").write_text(TOY)
    monkeypatch.chdir(tmp_path)
    commands = {
        "check": ["check", "study.toml"],
        "run": ["run", "study.toml", "--out", "RUN"],
        "evaluate": ["evaluate", "RUN", "data"],
        "predict": ["predict", "RUN", "data", "--out", "MASKS"],
    }
    for name, arguments in commands.items():
        assert run_app(arguments) == 0, name
        found = capsys.readouterr()
        text = found.out + found.err
        assert "without a slice, left out: 1 (A_WEST_1_20200101)" in text, name
        assert "gap in the numbering" in text and "slice 2)" in text, name

    page = (tmp_path / "RUN" / "report.html").read_text()
    assert "Left out, and noticed" in page and "left out: 1 (A_WEST_1_20200101)" in page

    shutil.rmtree(tmp_path / "MASKS")
    shutil.rmtree(tmp_path / "RUN")
    for name, arguments in commands.items():
        assert run_app([*arguments, "--json"]) == 0, name
        left_out = json.loads(capsys.readouterr().out)["left_out"]
        assert [one["count"] for one in left_out] == [1, 1], name
        assert left_out[0]["example"] == "A_WEST_1_20200101", name
    assert json.loads((tmp_path / "RUN" / "summary.json").read_text())["left_out"] == left_out
    assert "A_WEST" in (tmp_path / "RUN" / "run.json").read_text()


def program(*arguments, cwd, stdout):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "roundelay", *arguments],
        cwd=cwd, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_output_loses_no_training_and_is_said(place, options):
    (place / "study.toml").write_text(TOY)

    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, not a file
        done = program("run", "study.toml", "--out", "RUN", *options, cwd=place, stdout=full)

    assert done.returncode == 2
    assert "Standard output can't be written" in done.stderr
    assert "stands whole in RUN" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert (place / "RUN" / "summary.json").exists() and (place / "RUN" / "report.html").exists()


@pytest.mark.slow
def test_who_stops_reading_loses_no_training_either(place):
    (place / "study.toml").write_text(TOY)
    read, write = os.pipe()
    os.close(read)

    done = program("run", "study.toml", "--out", "RUN", cwd=place, stdout=write)
    os.close(write)

    assert done.returncode == 141, done.stderr
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
    assert (place / "RUN" / "summary.json").exists()


@pytest.mark.slow
def test_a_table_that_can_not_be_made_is_said_and_the_result_stands(place, monkeypatch, capsys):
    (place / "study.toml").write_text(TOY)
    monkeypatch.setattr(results, "arms", lambda summary: summary["no such key"])

    assert run_app(["run", "study.toml", "--out", "RUN"]) == 0

    assert "table could not be printed (KeyError" in capsys.readouterr().err
    assert (place / "RUN" / "summary.json").exists()


@pytest.mark.slow
def test_the_result_is_written_before_the_pictures(place, monkeypatch):
    (place / "study.toml").write_text(without(TOY, ("samples = false", "samples = true")))
    seen = []

    def killed(study, out, *_):
        seen.append((out / "summary.json").exists())
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "pictures_or_say", killed)
    assert run_app(["run", "study.toml", "--out", "RUN"]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)

    assert seen == [True]
    assert run_app(["run", "study.toml", "--out", "RUN", "--resume"]) == 0
    assert (place / "RUN" / "samples" / "samples.json").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("batch = 2", "batch = 2\nrecalibrate_batchnorm = true"), True),
        (("batch = 2", "batch = 2"), False),
        (('name = "toy"', 'name = "toy"\narms = ["pooled"]'), False),
    ],
)
def test_check_says_what_is_laid_otherwise_under_seal(place, change, told):
    (place / "study.toml").write_text(without(TOY, change))
    found = read_study(place / "study.toml")
    surveys = dict.fromkeys(("NORTH", "EAST"))

    said = in_turn_elsewhere(found, surveys)

    assert bool(said) is told
    assert not told or "2 hand-overs for each model in place of one leg" in said[0]


def test_check_says_on_how_many_slices_each_site_trains(place, capsys):
    (place / "study.toml").write_text(without(TOY, ("size = 32", "size = 32\ntrain_slices = 7")))

    assert run_app(["check", "study.toml"]) == 0

    head, *rows = [line for line in capsys.readouterr().out.splitlines() if line.strip()][1:4]
    assert head.split("  ")[-1].strip() == "trained on"
    assert sorted(row.split()[-1] for row in rows) == ["3", "4"]

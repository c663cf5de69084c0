"""The command line on a tiny cohort: a whole run, a killed one, and everything that is refused."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from roundelay.cli.app import run_app
from roundelay.errors import UserError
from roundelay.phantom.cohort import make_toy

SITES = {"NORTH": 3, "EAST": 3, "LAKE": 1}
STUDY = """
name = "toy"
arms = ["cwt", "swt"]
[data]
root = "data"
size = 32
split = { validation = 0.0, test = 0.34 }
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 2
steps = 2
batch = 2
average = "ema"
precision = "float32"
"""


def roundelay(*arguments, cwd, **options):
    """Run the command as a user does, in a process of its own."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, **options
    )


def command(*arguments):
    return [sys.executable, "-m", "roundelay", *arguments]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def home(module_path):
    """A folder with a cohort and a study, and a finished run of it."""
    place = module_path
    make_toy(place / "data", seed=0, patients=SITES, slices=4, size=64)
    (place / "study.toml").write_text(STUDY)
    done = roundelay("run", "study.toml", "--out", "RUN", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "summary.out").write_text(done.stdout)
    return place


@pytest.fixture
def typed(monkeypatch, capsys):
    """The same command in this process, which needn't load PyTorch again."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = run_app([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=said.out, stderr=said.err)

    yield run
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def fresh(home, tmp_path):
    """A copy of cohort and study that a test may damage."""
    shutil.copytree(home / "data", tmp_path / "data")
    shutil.copy(home / "study.toml", tmp_path)
    return tmp_path


def models(run):
    return {p.parent.name: p.read_bytes() for p in run.glob("arms/*/model.safetensors")}


@pytest.mark.slow
def test_a_run_leaves_what_the_reference_says(home):
    summary = json.loads((home / "summary.out").read_text())

    assert summary == json.loads((home / "RUN" / "summary.json").read_text())
    assert [row["arm"] for row in summary["arms"]] == ["cwt", "swt"]
    assert summary["arms"][0]["slice_visits"] == summary["arms"][1]["slice_visits"] == 24
    assert {p.name for p in (home / "RUN").iterdir()} >= {
        "study.toml", "run.json", "summary.json", "patients.csv", "arms",
    }  # fmt: skip
    for arm in ("cwt-0", "swt-0"):
        assert {p.name for p in (home / "RUN" / "arms" / arm).iterdir()} == {
            "itinerary.json", "ledger.jsonl", "batons", "model.safetensors", "curve.csv",
            "scores.json",
        }  # fmt: skip
    rows = (home / "RUN" / "patients.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 2  # two arms, a test patient at NORTH and at EAST


@pytest.mark.slow
@pytest.mark.parametrize("ledger_lines", [1, 5])
def test_a_run_killed_at_any_moment_ends_in_the_same_bytes(home, fresh, typed, ledger_lines):
    process = subprocess.Popen(
        command("run", "study.toml", "--out", "RUN"),
        cwd=fresh, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ledger = fresh / "RUN" / "arms" / "cwt-0" / "ledger.jsonl"
    deadline = time.monotonic() + 120
    while not ledger.exists() or len(ledger.read_bytes().splitlines()) < ledger_lines:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed = typed("run", "study.toml", "--out", "RUN", "--resume", cwd=fresh)

    assert resumed.returncode == 0, resumed.stderr
    assert models(fresh / "RUN") == models(home / "RUN")


@pytest.mark.slow
def test_what_stands_in_test_patients_masks_does_not_touch_a_byte_of_a_model(home, fresh, typed):
    for place, poison in ((fresh / "a", False), (fresh / "b", True)):
        shutil.copytree(home / "data", place / "data")
        folders = sorted(p.name for p in (place / "data").iterdir() if p.is_dir())
        rows = [
            f"{name},{name.split('_')[1]},{'test' if name.split('_')[2] == '0001' else 'train'}"
            for name in folders
            if "LAKE" not in name
        ]
        (place / "sites.csv").write_text("\n".join(["patient,site,split", *rows]))
        text = STUDY.replace('root = "data"', 'root = "data"\nsites = "table:sites.csv"')
        text = edit(text, "rounds = 2", "rounds = 1")
        (place / "study.toml").write_text(edit(text, '["cwt", "swt"]', '["cwt"]'))
        if poison:
            for path in place.glob("data/*_0001_*/*_mask.tif"):
                with Image.open(path) as image:
                    mask = np.asarray(image)
                # Everything else of the middle: not all of the slice, which would be refused.
                wrong = np.zeros_like(mask)
                wrong[20:44, 20:44] = 255 - mask[20:44, 20:44]
                Image.fromarray(wrong).save(path)
        done = typed("run", "study.toml", "--out", "RUN", cwd=place)
        assert done.returncode == 0, done.stderr

    weights = [_weights(models(p / "RUN")["cwt-0"]) for p in (fresh / "a", fresh / "b")]
    assert weights[0] == weights[1]
    scores = [(p / "RUN" / "patients.csv").read_text() for p in (fresh / "a", fresh / "b")]
    assert scores[0] != scores[1]


def _weights(data):
    # The header names the study's digest, which holds the path of the table: compare what follows.
    length = int.from_bytes(data[:8], "little")
    return data[8 + length :]


@pytest.mark.slow
def test_the_docs_commands_run_as_they_stand(tmp_path, typed):
    """As they stand, on a study that is made small where the page says to look at it."""
    make_toy(tmp_path / "kaggle_3m", seed=0, patients={"NORTH": 2, "EAST": 2}, slices=8, size=64)
    page = Path(__file__).parents[2] / "docs" / "tutorial" / "first-study.md"
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]

    assert len(lines) >= 7
    for line in lines:
        done = typed(*line.split()[1:], cwd=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout
        if line.startswith("roundelay init"):
            _make_small(tmp_path / "study.toml")


def _make_small(path):
    text = edit(path.read_text(), "size = 96", "size = 32")
    text = edit(text, "rounds = 4", "rounds = 1\nrecalibration_slices = 8")
    path.write_text(edit(text, '["cwt", "swt", "pooled", "local"]', '["cwt", "pooled"]'))


@pytest.mark.slow
def test_a_finished_run_resumes_to_its_table_and_a_model_evaluates(home, typed):
    again = typed("run", "study.toml", "--out", "RUN", "--resume", "--json", cwd=home)
    model = "RUN/arms/cwt-0/model.safetensors"
    scored = typed("evaluate", model, "data", "--json", cwd=home)

    assert json.loads(again.stdout) == json.loads((home / "summary.out").read_text())
    found = json.loads(scored.stdout)
    assert found["summary"]["patients"] == 7
    with (home / "RUN" / "patients.csv").open(newline="") as file:
        dice = {r["patient"]: float(r["dice"]) for r in csv.DictReader(file) if r["arm"] == "cwt"}
    outside = {p["patient"]: p["dice"] for p in found["patients"]}
    assert {name: outside[name] for name in dice} == pytest.approx(dice, abs=0.02)


@pytest.mark.slow
def test_predictions_have_the_inputs_format(home, tmp_path, typed):
    model = home / "RUN" / "arms" / "cwt-0" / "model.safetensors"
    folder = sorted(p for p in (home / "data").iterdir() if p.is_dir())[0]
    shutil.copytree(folder, tmp_path / "new" / folder.name)
    for path in (tmp_path / "new").rglob("*_mask.tif"):
        path.unlink()

    done = typed("predict", str(model), "new", "--out", "MASKS", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    masks = sorted((tmp_path / "MASKS" / folder.name).iterdir())
    assert len(masks) == 4
    for path in masks:
        with Image.open(path) as image:
            mask = np.asarray(image)
        assert mask.shape == (64, 64) and set(np.unique(mask)) <= {0, 255}
    with Image.open(tmp_path / "MASKS" / f"{folder.name}.png") as sheet:
        assert sheet.size[0] == 6 * 64


def edit(text, old, new):
    assert old in text
    return text.replace(old, new)


BAD_STUDIES = [
    ("steps = 2", "steps = 2\nroundz = 3", "did you mean 'rounds'?"),
    ("steps = 2", "steps = 2\nepochs = 1", "contradict each other"),
    ("batch = 2", "batch = 50", "batch = 50 is larger than"),
    ('root = "data"', 'root = "nowhere"', "There is no folder"),
    ('root = "data"', 'root = "data"\nsites = "chunks:99"', "only 7 patients"),
    ('root = "data"', 'root = "data"\nsites = "table:none.csv"', "can't be read"),
    (
        'encoder = "resnet18_quarter"',
        'encoder = "resnet18"\nweights = "none.pth"',
        "no weights file",
    ),
    ("size = 32", "size = 32\ntrain_slices = 2", "train_slices = 2"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "says"), BAD_STUDIES, ids=[b[2][:20] for b in BAD_STUDIES])
def test_a_study_that_can_be_mended_is_refused_and_nothing_is_written(fresh, typed, old, new, says):
    (fresh / "study.toml").write_text(edit(STUDY, old, new))

    done = typed("run", "study.toml", "--out", "OUT", cwd=fresh)

    assert done.returncode == 2, done.stderr
    assert says in done.stderr and "Traceback" not in done.stderr
    assert not (fresh / "OUT").exists()
    assert done.stdout == ""


@pytest.mark.slow
def test_damaged_data_is_refused_with_its_name_and_nothing_is_written(fresh, typed):
    path = sorted(fresh.glob("data/*NORTH*/*_2.tif"))[0]
    path.write_bytes(path.read_bytes()[:200])

    done = typed("run", "study.toml", "--out", "OUT", cwd=fresh)

    assert done.returncode == 2
    assert path.name in done.stderr
    assert not (fresh / "OUT").exists()


@pytest.mark.slow
def test_folders_and_files_that_are_not_ours_are_refused(home, tmp_path, typed):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    (tmp_path / "other.safetensors").write_bytes(b"something else")
    study, data = str(home / "study.toml"), str(home / "data")
    for arguments, says in (
        (["run", study, "--out", "full"], "isn't empty"),
        (["run", study, "--out", str(home / "RUN")], "--resume"),
        (["evaluate", "other.safetensors", data], "not a model of Roundelay"),
        (["evaluate", str(home / "RUN"), data], "holds 2 models"),
        (["predict", "other.safetensors", data, "--out", "full"], "isn't empty"),
        (["ledger", "verify", "full"], "is not a run of Roundelay"),
        (["run", study], "--out"),
        (["fly"], "fly"),
    ):
        done = typed(*arguments, cwd=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
        assert says in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert (tmp_path / "full" / "thesis.txt").read_text() == "precious"
    assert len(list((tmp_path / "full").iterdir())) == 1


@pytest.mark.slow
def test_a_changed_study_or_an_edited_ledger_is_not_gone_on_with(home, tmp_path, typed):
    shutil.copytree(home / "RUN", tmp_path / "RUN")
    shutil.copytree(home / "data", tmp_path / "data")
    (tmp_path / "study.toml").write_text(edit(STUDY, "batch = 2", "batch = 3"))
    changed = typed("run", "study.toml", "--out", "RUN", "--resume", cwd=tmp_path)
    assert (changed.returncode, "recipe.batch" in changed.stderr) == (2, True)

    (tmp_path / "study.toml").write_text(STUDY)
    ledger = tmp_path / "RUN" / "arms" / "cwt-0" / "ledger.jsonl"
    honest = ledger.read_bytes()
    for attack in (
        honest.replace(b'"loss":', b'"loss":1', 1),
        honest[:-40],
        b"".join(honest.splitlines(keepends=True)[:-1]),
    ):
        ledger.write_bytes(attack)
        for arguments in (
            ["ledger", "verify", "RUN"],
            ["run", "study.toml", "--out", "RUN", "--resume"],
        ):
            done = typed(*arguments, cwd=tmp_path)
            assert done.returncode == 2, (arguments, attack[-60:], done.stderr)
            assert "ledger.jsonl" in done.stderr
    ledger.write_bytes(honest)
    assert typed("ledger", "verify", "RUN", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_changed_data_are_not_gone_on_with(home, tmp_path, typed):
    shutil.copytree(home / "RUN", tmp_path / "RUN")
    shutil.copytree(home / "data", tmp_path / "data")
    (tmp_path / "study.toml").write_text(STUDY)
    path = sorted(tmp_path.glob("data/*NORTH*/*_2.tif"))[0]
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)

    done = typed("run", "study.toml", "--out", "RUN", "--resume", cwd=tmp_path)

    assert done.returncode == 2
    assert "The cohort of RUN changed" in done.stderr


def test_the_demo_names_its_folder_and_goes_on_in_the_newest(tmp_path, monkeypatch, capsys):
    asked = []

    def run_study(_study, out, *, resume, **_):
        asked.append((out.name, resume))
        out.mkdir(exist_ok=True)
        raise UserError("Enough.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("roundelay.running.run.run_study", run_study)

    for words in (["demo"], ["demo"], ["demo", "--resume"], ["demo", "--resume", "--out", "x"]):
        assert run_app(words) == 2

    assert asked == [("demo-run", False), ("demo-run-2", False), ("demo-run-2", True), ("x", True)]
    assert "demo-run-2" in "".join(capsys.readouterr())

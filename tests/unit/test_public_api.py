"""`import roundelay`: its names, their types, and what it loads."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import roundelay
from roundelay.cli import app, stopping
from roundelay.errors import StudyError
from roundelay.phantom.cohort import make_toy
from roundelay.running import run as running
from roundelay.running.events import Planned
from surveys import TOY

ROOT = Path(__file__).parents[2]
SCRIPT = """
from pathlib import Path

import roundelay

study: roundelay.Study = roundelay.read_study("quick", data=Path("lgg"))
result: roundelay.RunResult = roundelay.run(study, Path("RUN"), resume=True)
arm: roundelay.ArmResult = result.arms[0]
if arm.test is not None:
    dice: float = arm.test.dice_mean
heads: dict[str, str] = roundelay.verify(Path("RUN")).heads
found: roundelay.EvaluationResult = roundelay.evaluate(Path("RUN"), Path("other"))
sheets: list[Path] = roundelay.predict(Path("RUN"), Path("other"), Path("masks"))
version: str = roundelay.__version__
try:
    pass
except roundelay.errors.RoundelayError as error:
    code: int = error.exit_code
"""
WRONG = """
import roundelay

roundelay.run("quick", "RUN", resume="yes")
roundelay.run("quick").arms[0].no_such_thing
"""


def test_every_promised_name_is_there_and_nothing_else():
    promised = set(roundelay.__all__)

    assert set(dir(roundelay)) == promised
    assert all(getattr(roundelay, name) is not None for name in promised)
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = roundelay.train


def test_run_is_the_function_also_after_its_room_was_imported():
    import roundelay.running.run

    assert callable(roundelay.run)


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert roundelay.__version__ == project["version"]


def test_importing_it_loads_nothing_of_weight():
    code = (
        "import sys, roundelay\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_checker_of_types_sees_real_signatures(tmp_path):
    def check(script):
        (tmp_path / "script.py").write_text(script)
        # From the root, so that what `make lint` has learned of PyTorch and NumPy is not read anew.
        words = [sys.executable, "-m", "mypy", "--strict", str(tmp_path / "script.py")]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout

    assert "Success" in (said := check(SCRIPT)), said
    said = check(WRONG)
    assert 'incompatible type "str"; expected "bool"' in said
    assert 'Missing positional argument "out"' in said and "no_such_thing" in said


def test_a_run_from_python_returns_what_the_folder_holds(tmp_path):
    make_toy(tmp_path / "data", seed=0, patients={"NORTH": 3, "EAST": 3}, slices=4, size=64)
    (tmp_path / "study.toml").write_text(TOY)

    result = roundelay.run(tmp_path / "study.toml", tmp_path / "RUN")

    (arm,) = result.arms
    assert roundelay.verify(tmp_path / "RUN").heads == {"cwt-0": arm.head}
    scores = result.scores["cwt-0"]
    assert arm.test is not None
    assert arm.test.dice_mean == pytest.approx(sum(s.dice for s in scores) / len(scores))
    pandas = pytest.importorskip("pandas")
    frame = result.to_frame()
    table = pandas.read_csv(tmp_path / "RUN" / "patients.csv", keep_default_na=False)
    assert list(frame.columns) == list(table.columns)
    assert frame["patient"].tolist() == table["patient"].tolist()
    assert frame["dice"].tolist() == pytest.approx(table["dice"].tolist())


def test_a_stopped_command_says_how_to_go_on_where_it_can(monkeypatch, capsys, tmp_path):
    """Only once a run has begun is there something to go on with."""

    def stopped(*_, **__):
        raise KeyboardInterrupt

    def stopped_later(*_, on_event, **__):
        on_event(Planned((), {}, ()))
        raise KeyboardInterrupt

    (tmp_path / "study.toml").write_text(TOY)
    arguments = ["run", str(tmp_path / "study.toml"), "--out", str(tmp_path / "RUN")]
    for run, said in (
        (stopped_later, f"Stopped. {stopping.GO_ON}\n"),
        (stopped, "Stopped.\n"),
    ):
        monkeypatch.setattr(running, "run_study", run)
        assert app.run_app(arguments) == 130
        assert capsys.readouterr().err.endswith(said)


def test_a_study_that_is_wrong_is_a_sentence_and_writes_nothing(tmp_path):
    with pytest.raises(StudyError, match="can't be read"):
        roundelay.run(tmp_path / "none.toml", tmp_path / "RUN")

    assert not (tmp_path / "RUN").exists()

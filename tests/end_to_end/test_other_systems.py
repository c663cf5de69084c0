"""Reading and checking a run on other systems: without what Unix alone has, and without PyTorch."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from roundelay.cli.app import run_app
from roundelay.phantom.cohort import make_toy
from surveys import TOY

ROOT = Path(__file__).parents[2]
VERIFY = ROOT / "packaging" / "verify"

UNIX_ALONE = ("fcntl", "resource", "pwd", "grp", "termios")

IMPORT_EVERYTHING = f"""
import ctypes, importlib, pkgutil, sys
import filelock, psutil, torch  # each has its own part for each system
for name in {UNIX_ALONE}:
    sys.modules[name] = None
for extra in ("ray", "nvflare", "segmentation_models_pytorch"):
    sys.modules[extra] = None

class Library(ctypes.CDLL):
    def __init__(self, name, *more, **named):
        assert name is not None, "the C library of the process itself"
        super().__init__(name, *more, **named)

ctypes.CDLL = Library
import roundelay
for module in pkgutil.walk_packages(roundelay.__path__, "roundelay."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        assert error.name.split(".")[0] in ("ray", "nvflare"), (module.name, error)
        print(module.name)
"""

WITHOUT_UNIX = f"""
import sys
import filelock, psutil  # each has its own part for each system
for name in {UNIX_ALONE}:
    sys.modules[name] = None
from roundelay.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def home(module_path):
    """A small study, a run of it, and a study with a fault."""
    make_toy(module_path / "data", patients={"NORTH": 3, "EAST": 3}, slices=4, size=64)
    (module_path / "study.toml").write_text(TOY)
    (module_path / "broken.toml").write_text(TOY.replace("rounds", "roundz"))
    run = ["run", str(module_path / "study.toml"), "--out", str(module_path / "RUN")]
    assert run_app(run) == 0
    return module_path


def ended(command, **environment):
    """A finished process; its standard error has no traceback."""
    found = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        env={**found, **environment},
        timeout=240,
        cwd=ROOT / "tests",
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()[-3000:]
    return done


@pytest.fixture
def without_unix():
    """Runs a command with the modules hidden that Unix alone has."""
    source = str(ROOT / "src")

    def run(*words):
        return ended([sys.executable, "-c", WITHOUT_UNIX, *words], PYTHONPATH=source)

    return run


@pytest.mark.slow
def test_no_module_needs_what_unix_alone_has():
    done = ended([sys.executable, "-c", IMPORT_EVERYTHING], PYTHONPATH=str(ROOT / "src"))

    assert done.returncode == 0, done.stderr.decode()[-3000:]
    refused = done.stdout.decode().split()
    assert all(name.startswith("roundelay.network.flare.") for name in refused), refused


@pytest.mark.slow
def test_runs_are_read_and_checked_without_what_unix_alone_has(home, without_unix):
    assert b"Sequential" in without_unix("--help").stdout
    assert b" 0 failed" in without_unix("ledger", "verify", home / "RUN").stdout
    assert without_unix("ledger", "verify", home / "nowhere").returncode == 2
    (home / "RUN" / "report.html").unlink()
    assert without_unix("report", home / "RUN").returncode == 0
    assert (home / "RUN" / "report.html").exists()
    broken = without_unix("check", home / "broken.toml")
    assert broken.returncode == 2
    assert b"did you mean 'rounds'?" in broken.stderr


@pytest.mark.slow
def test_a_pipe_without_a_code_for_arrows_stops_nothing(home):
    check = [sys.executable, "-m", "roundelay", "check", home / "study.toml"]
    found = ended(check, PYTHONPATH=str(ROOT / "src"), PYTHONIOENCODING="cp1252")

    assert found.returncode == 0
    assert "EAST -> NORTH" in found.stdout.decode("cp1252")


@pytest.fixture(scope="module")
def bare(module_path):
    """The wheel of roundelay-verify in an environment of its own: the path of its `bin`."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        pytest.skip("there is no uv to build and install the wheel with")
    place = module_path / "verify"
    python = place / "bin" / "python"
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python]
    assert ended([uv, "venv", "-q", "--python", sys.executable, place]).returncode == 0
    reached = ended([*install, "hatchling>=1.25"])
    if reached.returncode:
        pytest.skip(f"the package registry can't be reached: {reached.stderr.decode()[-200:]}")
    build = [uv, "build", "-q", "--wheel", "--no-build-isolation", "--python", python]
    built = ended([*build, "-o", module_path / "dist", VERIFY])
    assert built.returncode == 0, built.stderr.decode()
    (wheel,) = (module_path / "dist").glob("*.whl")
    done = ended([*install, "-c", ROOT / "constraints.txt", wheel])
    assert done.returncode == 0, done.stderr.decode()
    return place / "bin"


@pytest.mark.slow
def test_a_run_is_checked_and_reported_without_torch(home, bare):
    assert b"No module named 'torch'" in subprocess.run(
        [bare / "python", "-c", "import torch"], capture_output=True
    ).stderr  # fmt: skip
    roundelay = bare / "roundelay"
    assert ended([roundelay, "--help"]).returncode == 0
    assert b" 0 failed" in ended([roundelay, "ledger", "verify", home / "RUN"]).stdout
    assert b"head " in ended([roundelay, "ledger", "show", home / "RUN"]).stdout
    (home / "RUN" / "report.html").unlink()
    assert ended([roundelay, "report", home / "RUN"]).returncode == 0
    assert (home / "RUN" / "report.html").exists()
    for words in (["check"], ["run", "--out", home / "OUT"]):
        broken = ended([roundelay, *words, home / "broken.toml"])
        assert broken.returncode == 2
        assert b"did you mean 'rounds'?" in broken.stderr


@pytest.mark.slow
def test_what_needs_torch_says_how_it_is_installed(home, bare):
    out = home / "OUT"
    for words in (
        ["check", home / "study.toml"],
        ["run", home / "study.toml", "--out", out],
        ["run", home / "study.toml", "--out", out, "--leave-one-site-out"],
        ["evaluate", home / "RUN", home / "data"],
        ["predict", home / "RUN", home / "data", "--out", out],
    ):
        done = ended([bare / "roundelay", *words])
        assert done.returncode == 2, words
        assert b"needs PyTorch" in done.stderr and b"pip install roundelay\n" in done.stderr
        assert not out.exists()


def test_roundelay_verify_is_roundelay_without_torch():
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    verify = tomllib.loads((VERIFY / "pyproject.toml").read_text())["project"]

    without = [name for name in whole["dependencies"] if not name.startswith("torch")]
    assert verify["dependencies"] == without
    for key in ("scripts", "requires-python", "license"):
        assert verify[key] == whole[key]

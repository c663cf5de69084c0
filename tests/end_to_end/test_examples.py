"""The examples run as they stand."""

import contextlib
import importlib.util
import io
import json
import os
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("nilearn") is None, reason="the extra 'demo' is not installed"
    ),
]


@pytest.fixture(scope="module")
def notebook(module_path):
    """The notebook run from top to bottom: the names it leaves, and the folder that it made."""
    pytest.importorskip("pandas")
    cells = json.loads((EXAMPLES / "first_study.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    before = Path.cwd()
    os.chdir(module_path)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in (c for c in cells if c["cell_type"] == "code"):
                exec(compile("".join(cell["source"]), "first_study.ipynb", "exec"), names)
    finally:
        os.chdir(before)
    return SimpleNamespace(names=names, folder=module_path / "first-study")


def test_the_notebook_runs_from_top_to_bottom(notebook):
    assert [arm.label for arm in notebook.names["result"].arms] == ["cwt-0", "pooled-0"]
    assert (notebook.folder / "RUN" / "report.html").exists()


def test_the_script_prints_scores_and_heads(notebook, tmp_path, monkeypatch, capsys):
    # Both make the same patients, and a cohort that is whole is not made again.
    shutil.copytree(notebook.folder / "patients", tmp_path / "patients")
    script = str(EXAMPLES / "compare_methods.py")
    monkeypatch.setattr("sys.argv", [script, str(tmp_path)])

    runpy.run_path(script, run_name="__main__")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["cwt-0", "swt-0", "pooled-0"]
    assert lines[3].startswith("cwt less swt") and lines[4].startswith("cwt less pooled")
    assert lines[5].startswith("No verdict from 1 seed") and "heads of the ledgers" in lines[-1]

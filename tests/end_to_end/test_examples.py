"""The examples run as they stand."""

import contextlib
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("nilearn") is None, reason="the extra 'demo' is not installed"
    ),
]


def test_the_script_prints_scores_and_heads(tmp_path):
    words = [sys.executable, str(EXAMPLES / "compare_methods.py"), str(tmp_path)]

    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=280)

    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["cwt-0", "swt-0", "pooled-0"]
    assert lines[3].startswith("cwt less swt") and lines[4].startswith("No verdict from 1 seed")
    assert "heads of the ledgers" in lines[-1]


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    notebook = json.loads((EXAMPLES / "first_study.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}

    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            exec(compile(cell, "first_study.ipynb", "exec"), names)

    result = names["result"]
    assert [arm.label for arm in result.arms] == ["cwt-0", "pooled-0"]
    assert (tmp_path / "first-study" / "RUN" / "report.html").exists()

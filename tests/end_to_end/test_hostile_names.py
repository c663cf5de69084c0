"""Hospitals with names of every kind, through a whole run and all that reads it afterwards."""

import html
import json
import sys
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from roundelay.cli.app import run_app
from roundelay.data.tables import read_table, write_table
from roundelay.phantom.cohort import make_toy
from roundelay.study.names import file_name

NAMES = [
    "../../evil [/A]", "N/A", "=A$_$B", "Mu\u0308nchen <b>&amp;", "東京🏥 בית", "NUL"
]  # fmt: skip
"""A hospital each; one letter is composed of two characters."""

SHOWN = [unicodedata.normalize("NFC", name) for name in NAMES]

STUDY = """
name = "all [kinds] of $names$ <i>"
arms = ["cwt", "local"]
[data]
root = "data"
sites = "table:sites.csv"
size = 32
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 1
batch = 2
precision = "float32"
[evaluation]
follow = "{follow}"
[courier]
threads = 1
"""


def say(*arguments):
    """The exit code of a command and what it printed."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_app([str(argument) for argument in arguments])
    assert "Warning" not in err.getvalue() and "could not be drawn" not in err.getvalue()
    return code, out.getvalue(), err.getvalue()


def written(home, names, follow="none"):
    """A study of these hospitals: each trains one patient and tests another."""
    make_toy(home / "data", patients={f"H{n}": 2 for n in range(len(names))}, slices=2, size=32)
    folders = sorted(p.name for p in (home / "data").iterdir() if p.is_dir())
    rows = []
    for n, name in enumerate(names):
        own = [folder for folder in folders if f"_H{n}_" in folder]
        rows += [[own[0], name, "train"], [own[1], name, "test"]]
        if follow != "none":
            rows[-1][2] = "validation"
    (home / "sites.csv").write_text(
        write_table(["Patient", "Site", "Split"], rows), encoding="utf-8"
    )
    (home / "study.toml").write_text(STUDY.format(follow=follow))
    return home / "study.toml"


@pytest.fixture(scope="module")
def home(module_path):
    study = written(module_path, NAMES)
    code, out, err = say("run", study, "--out", module_path / "inner" / "RUN")
    assert code == 0, err
    (module_path / "out.txt").write_text(out)
    (module_path / "err.txt").write_text(err)
    return module_path


@pytest.mark.slow
def test_nothing_lies_outside_the_run_and_every_folder_is_plain(home):
    assert sorted(p.name for p in home.iterdir()) == sorted(
        ["data", "err.txt", "inner", "out.txt", "sites.csv", "study.toml"]
    )
    assert [p.name for p in (home / "inner").iterdir()] == ["RUN"]
    arms = home / "inner" / "RUN" / "arms"
    assert {p.name for p in arms.iterdir()} == {
        "cwt-0", *(file_name(f"local-0-{name}") for name in SHOWN)
    }  # fmt: skip
    record = json.loads((home / "inner" / "RUN" / "run.json").read_text())
    assert record["arms"] == ["cwt-0", *(f"local-0-{name}" for name in SHOWN)]
    for label, folder in record["folders"].items():
        assert (home / "inner" / "RUN" / folder / "ledger.jsonl").exists(), label


@pytest.mark.slow
def test_every_name_is_shown_and_kept_whole(home):
    run = home / "inner" / "RUN"
    summary = json.loads((run / "summary.json").read_text())
    page = (run / "report.html").read_text()

    assert set(summary["arms"][0]["test"]["by_site"]) == set(SHOWN)
    assert {row.cells["site"] for row in read_table(run / "patients.csv").rows} == set(SHOWN)
    assert not any(
        line.startswith(("=", "@")) for line in (run / "patients.csv").read_text().split(",")
    )
    for name in SHOWN:
        assert (
            f">{html.escape(name)}<" in page
            or html.escape(name).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
        ), name
        assert f"local-0-{name}: done." in (home / "err.txt").read_text()
    assert "<b>&amp;</b>" not in page.replace("&lt;b&gt;&amp;amp;&lt;/b&gt;", "")
    pictures = json.loads((run / "samples" / "samples.json").read_text())
    assert {row["site"] for row in pictures} == set(SHOWN)
    assert all((run / "samples" / row["file"]).parent == run / "samples" for row in pictures)


@pytest.mark.slow
def test_what_reads_the_run_finds_them_all(home, tmp_path):
    run = home / "inner" / "RUN"

    code, out, err = say("ledger", "verify", run)
    assert code == 0, err
    assert all(f"local-0-{name}: " in out for name in SHOWN)
    code, out, err = say("ledger", "show", run)
    assert code == 0 and all(f"local-0-{name}" in out for name in SHOWN)
    code, out, err = say("ledger", "show", run, "--json")
    assert set(json.loads(out)) == {"cwt-0", *(f"local-0-{name}" for name in SHOWN)}
    assert say("report", run, "--out", tmp_path / "page")[0] == 0
    code, out, err = say("run", home / "study.toml", "--out", run, "--resume")
    assert code == 0, err
    arm = run / "arms" / file_name("local-0-N/A")
    code, out, err = say(
        "predict", arm / "model.safetensors", home / "data", "--out", tmp_path / "P"
    )
    assert code == 0, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["P", "page"]
    with (arm / "ledger.jsonl").open("a") as file:
        file.write("x")
    code, out, err = say("ledger", "verify", run)
    assert code == 2 and file_name("local-0-N/A") in out + err


@pytest.mark.slow
def test_a_check_shows_them_and_says_whom_the_table_leaves_out(home, tmp_path):
    study = written(tmp_path, NAMES)
    rows = (tmp_path / "sites.csv").read_text().splitlines()
    (tmp_path / "sites.csv").write_text("\n".join(rows[:-2]) + "\n")

    code, out, err = say("check", study)

    assert code == 0, err
    assert all(name in out for name in SHOWN[:-1])
    assert "Patients who are not in the table sites.csv, left out: 2" in out


@pytest.mark.slow
def test_each_left_out_in_turn_has_a_folder_of_its_own_in_out(tmp_path):
    names = ["../../evil", "report.html", "A$_$B [x]"]
    study = written(tmp_path, names, follow="visit")
    study.write_text(study.read_text().replace('["cwt", "local"]', '["cwt"]'))

    code, out, err = say("run", study, "--out", tmp_path / "OUT", "--leave-one-site-out")

    assert code == 0, err
    folders = {p.name for p in (tmp_path / "OUT").iterdir() if p.is_dir()} - {"figures"}
    assert folders == {file_name(name) for name in names}
    assert all(name in out for name in names)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["OUT", "data", "sites.csv", "study.toml"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is empty"),
        ("server", "kept"),
        ("a\u202eb", "202E"),
        ("x" * 65, "64 at most"),
        ("..", "names"),
    ],
)
def test_a_name_that_cannot_be_right_is_refused_before_anything_is_written(name, says, tmp_path):
    study = written(tmp_path, ["plain", name])

    code, _, err = say("run", study, "--out", tmp_path / "RUN")

    assert code == 2 and says in err and "sites.csv, line 4" in err
    assert not (tmp_path / "RUN").exists()
    assert "Traceback" not in err and sys.exc_info() == (None, None, None)

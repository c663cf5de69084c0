"""Arms that are called after hospitals of any name: kept, found and shown whole."""

import csv
import html
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import write_run
from roundelay.cli.app import run_app
from roundelay.data.tables import read_table
from roundelay.records.contents import read_run
from roundelay.records.layout import arm_folder, arm_folders
from roundelay.records.verification import verify_run
from roundelay.report.page import write_report
from roundelay.study.names import SiteName, confusable
from surveys import study

NAMES = [
    "../../../evil", "N/A", "/etc/x", "C:\\x", "[bold]", "Bonn [/A]", "A$_$B", "$\\frac{",
    ":heart:", "=HYPERLINK(1)", "-1", "@SUM(A1)", "a,b;c\"d'", "<b>&amp;</b>", "</script>", "NUL",
    "con.txt", "report.html", "figures", "München", "東京大学病院", "👩‍⚕️ Klinik", "בית חולים",
    "-rf", "~root", "%s{0}", "#1c2127", "Ω" * 64, ".hidden", "Mainz ICU", "~", "*?|",
]  # fmt: skip
PLAN = study(top={"arms": ("cwt", "local")}, recipe={"rounds": 1, "steps": 1})


def escaped(name):
    return html.escape(name).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def check(home, names):
    """A run of hospitals of these names, read back by all that reads one."""
    out = home / "RUN"
    write_run(out, PLAN, {}, dict.fromkeys(names, 9))
    labels = ["cwt-0", *(f"local-0-{name}" for name in names)]
    write_report(out)

    assert [p.name for p in home.iterdir()] == ["RUN"]
    assert len([*(out / "arms").iterdir()]) == len(labels) == len(set(labels))
    assert [arm.label for arm in read_run(out).arms] == list(arm_folders(out)) == labels
    assert list(verify_run(out).heads) == labels
    page = (out / "report.html").read_text()
    assert all(escaped(name) in page for name in names)
    with (out / "patients.csv").open(newline="") as file:
        cells = [row["site"] for row in csv.DictReader(file)]
    assert not [cell for cell in cells if cell[0] in "=@"]
    assert {row.cells["site"] for row in read_table(out / "patients.csv").rows} == set(names)
    return labels


@pytest.mark.slow
def test_hospitals_of_any_name_are_found_whole(tmp_path, capsys):
    labels = check(tmp_path, NAMES)

    for command in ("show", "verify"):
        assert run_app(["ledger", command, str(tmp_path / "RUN")]) == 0
        printed = capsys.readouterr().out
        assert [label for label in labels if label not in printed] == [], command
        assert run_app(["ledger", command, str(tmp_path / "RUN"), "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert list(printed.get("heads", printed)) == labels


@pytest.mark.slow
def test_no_arm_of_them_is_left_out_of_verification(tmp_path):
    check(tmp_path, NAMES[::4])
    for label in arm_folders(tmp_path / "RUN"):
        ledger = arm_folder(tmp_path / "RUN", label) / "ledger.jsonl"
        before = ledger.read_bytes()
        ledger.write_bytes(before[:-40] + b"x" + before[-39:])

        assert run_app(["ledger", "verify", str(tmp_path / "RUN")]) == 2, label

        ledger.write_bytes(before)


def is_name(text):
    try:
        return SiteName(text) == text
    except ValueError:
        return False


ODD = st.text(st.sampled_from("aA./\\ -_$[]<>=:|*'\"#;,~é東🏥ב\u0301"), min_size=1, max_size=9)


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(ODD.filter(is_name), min_size=3, max_size=5, unique=True).filter(
        lambda names: confusable(names) is None
    )
)
def test_hospitals_of_drawn_names_are_found_whole(tmp_path_factory, names):
    check(tmp_path_factory.mktemp("home"), names)

"""Every site left out in turn: patients scored by the model that never saw their hospital."""

import json
from html import unescape
from pathlib import Path

import pytest

from roundelay.cli.app import run_app
from roundelay.errors import LedgerError
from roundelay.phantom.cohort import make_toy
from roundelay.records.evidence import RunEvidence
from roundelay.records.left_out_claims import check_left_out_sites
from roundelay.relay.ledger import read_ledger
from surveys import study as toy_study
from surveys import survey, surveys

SITES = {"NORTH": 4, "EAST": 5, "WEST": 4}
STUDY = """
name = "elsewhere"
arms = ["cwt", "pooled"]
[data]
root = "data"
split = { validation = 0.0, test = 0.25 }
size = 32
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 1
batch = 2
deterministic = true
site_order = ["WEST", "NORTH", "EAST"]
[evaluation]
samples = false
"""


@pytest.fixture(scope="module")
def study(module_path) -> Path:
    home = module_path
    make_toy(home / "data", seed=1, patients=SITES, slices=4, size=64)
    (home / "study.toml").write_text(STUDY)
    return home / "study.toml"


@pytest.mark.slow
def test_every_site_is_left_out_once_and_scored_by_models_that_never_saw_it(study, capsys):
    out = study.parent / "OUT"
    arguments = ["run", str(study), "--out", str(out), "--leave-one-site-out"]
    assert run_app([*arguments, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)

    assert summary == json.loads((out / "summary.json").read_text())
    assert list(summary["left_out"]) == sorted(SITES)
    expected: dict[str, list[float]] = {}
    for site, patients in SITES.items():
        legs = read_ledger(out / site / "arms" / "cwt-0" / "ledger.jsonl")[1:]
        trained = {receipt["site"] for leg in legs for receipt in leg["receipts"]}
        assert trained == set(SITES) - {site}
        scores = json.loads((out / site / "arms" / "cwt-0" / "scores.json").read_text())["scores"]
        own = [score["dice"] for score in scores if score["site"] == site]
        assert len(own) == patients  # all of them test: none trained
        assert summary["left_out"][site]["cwt"] == pytest.approx(sum(own) / len(own))
        expected["cwt"] = expected.get("cwt", []) + own
    methods = {row["method"]: row["dice_mean"] for row in summary["methods"]}
    assert list(methods) == ["cwt", "pooled"]
    assert methods["cwt"] == pytest.approx(sum(expected["cwt"]) / len(expected["cwt"]))
    page = (out / "report.html").read_text()
    assert "Still running" not in page and "at hospitals the model never visited" in page
    (comparison,) = summary["comparisons"]
    assert comparison["p"] is None and "No verdict from 1 seed:" in comparison["no_verdict"]
    assert comparison["no_verdict"] in unescape(page)

    assert run_app(["ledger", "verify", str(out)]) == 0
    told = capsys.readouterr().out
    assert "summary.json is what the runs come to: checked" in told
    assert all(f"{site}/cwt-0: every line follows" in told for site in SITES)

    before = {p: p.stat().st_mtime_ns for p in out.rglob("model.safetensors")}
    assert run_app([*arguments, "--resume"]) == 0
    printed = capsys.readouterr().out
    assert "left out" in printed and printed.count("No verdict from 1 seed:") == 1
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("model.safetensors")}
    assert run_app(arguments) == 2
    assert "isn't empty" in capsys.readouterr().err

    (out / "summary-final.json").write_text("{}")
    assert run_app(["ledger", "verify", str(out)]) == 2
    assert "summary-final.json is no part of the run" in capsys.readouterr().out
    (out / "summary-final.json").unlink()
    summary["left_out"]["EAST"]["cwt"] = 0.99
    (out / "summary.json").write_text(json.dumps(summary))
    assert run_app(["ledger", "verify", str(out)]) == 2
    assert "says otherwise at left_out.EAST.cwt" in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"recipe": {"rounds": 4}}, {"top": {"seeds": (7,)}}, {}])
def test_runs_of_different_studies_are_not_one(tmp_path, other):
    numbers, runs = surveys(dict.fromkeys(SITES, 9)), []
    for site in SITES:
        run = RunEvidence(tmp_path / site)
        sections = other if site == "WEST" else {}
        run.__dict__["study"] = toy_study(evaluation={"leave_out": site}, **sections)
        run.__dict__["surveys"] = numbers
        runs.append(run)

    if other:
        with pytest.raises(LedgerError, match="are runs of different studies"):
            check_left_out_sites(runs)
        return
    check_left_out_sites(runs)
    runs[0].__dict__["surveys"] = {**numbers, "EAST": survey("EAST", 9, patients=8)}
    with pytest.raises(LedgerError, match="have other numbers of patients"):
        check_left_out_sites(runs)


def test_a_study_that_leaves_one_out_already_is_refused(study, tmp_path, capsys):
    text = STUDY.replace('"data"', json.dumps(str(study.parent / "data")))
    text = text.replace("samples = false", 'samples = false\nleave_out = "EAST"')
    (tmp_path / "study.toml").write_text(text)
    out = tmp_path / "OUT"

    code = run_app(["run", str(tmp_path / "study.toml"), "--out", str(out), "--leave-one-site-out"])

    assert code == 2 and "leave_out" in capsys.readouterr().err
    assert not out.exists()

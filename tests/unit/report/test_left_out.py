"""The page over all hospitals left out in turn, drawn anew; the command that goes on."""

from html import unescape

import pytest

from roundelay.cli.app import run_app
from roundelay.records.contents import read_run
from roundelay.report.going_on import resumes_run
from toy_runs import PLAN, copied, run_toy

SITES = ("NORTH", "EAST", "SOUTH")

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def all_out(module_path):
    """Two of three hospitals were left out; the third is still to come."""
    for site in SITES[:2]:
        evaluation = PLAN.evaluation.model_copy(update={"leave_out": site})
        run_toy(module_path / "OUT L" / site, PLAN.model_copy(update={"evaluation": evaluation}))
    return module_path / "OUT L"


def test_report_draws_it_anew_and_says_what_goes_on(all_out, capsys):
    assert run_app(["report", str(all_out)]) == 0

    page = unescape((all_out / "report.html").read_text())
    assert "at hospitals the model never visited" in page and "Still to come: SOUTH." in page
    command = f"roundelay run STUDY --out '{all_out}' --leave-one-site-out --resume"
    assert command in page and "STUDY: toy" in page


def test_runs_of_something_else_side_by_side_are_no_such_folder(all_out, tmp_path, capsys):
    copied(all_out / "NORTH", tmp_path / "A")
    copied(all_out / "NORTH", tmp_path / "B")

    assert run_app(["report", str(tmp_path)]) == 2
    assert f"{tmp_path} is not a run" in capsys.readouterr().err


def test_two_such_folders_stand_side_by_side_and_none_beside_one_of_its_runs(
    all_out, tmp_path, capsys
):
    copied(all_out, tmp_path / "OTHER")
    both = ["--out", str(tmp_path / "BOTH")]

    assert run_app(["report", str(all_out), str(tmp_path / "OTHER"), *both]) == 0
    page = unescape((tmp_path / "BOTH" / "report.html").read_text())
    assert "2 runs side by side" in page and "cwt of OUT L" in page and "cwt of OTHER" in page
    assert "those of one model, the mean over them" in page
    assert "Unfinished: OUT L (still to come: SOUTH), OTHER (still to come: SOUTH)." in page

    assert run_app(["report", str(all_out), str(all_out / "NORTH"), *both]) == 2
    assert "don't hold runs of the same splits" in capsys.readouterr().err


def test_a_run_names_the_study_in_its_folder(all_out):
    run = read_run(all_out / "NORTH")
    found = resumes_run(run)

    study = all_out / "NORTH" / "study.toml"
    assert f"roundelay run '{study}' --out '{all_out / 'NORTH'}' --resume" in found


def test_a_run_that_is_given_twice_is_not_two_of_one_name(all_out, tmp_path, capsys):
    run = str(all_out / "NORTH")
    arguments = ["report", run, f"{run}/../NORTH", "--out", str(tmp_path)]

    assert run_app(arguments) == 2
    assert f"{run} is given twice" in capsys.readouterr().err

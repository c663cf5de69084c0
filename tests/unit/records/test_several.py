"""A folder over several runs takes no other runs, and no page but its own."""

import pytest

from roundelay.cli.app import run_app
from roundelay.errors import RunFolderError
from roundelay.records.several import (
    FOLDS,
    LEFT_OUT,
    kind_over,
    refuse_among_several,
    refuse_as_page,
    refuse_other_kind,
)
from toy_runs import PLAN, copied, run_toy

SITES = ("NORTH", "EAST", "SOUTH")


def left_out(site):
    evaluation = PLAN.evaluation.model_copy(update={"leave_out": site})
    return PLAN.model_copy(update={"evaluation": evaluation})


@pytest.fixture(scope="module")
def single(module_path):
    run_toy(module_path / "SINGLE")
    return module_path / "SINGLE"


@pytest.fixture(scope="module")
def without_each(module_path):
    """As `run --leave-one-site-out` leaves it after two of three sites."""
    for site in SITES[:2]:
        run_toy(module_path / "OUT" / site, left_out(site))
    (module_path / "OUT" / "report.html").touch()
    return module_path / "OUT"


def test_runs_of_another_kind_or_one_run_alone_are_not_gone_on_with(without_each, single):
    refuse_other_kind(without_each, LEFT_OUT)
    refuse_other_kind(without_each / "nothing there", FOLDS)

    with pytest.raises(RunFolderError, match=r"holds hospitals left out in turn \(EAST\)"):
        refuse_other_kind(without_each, FOLDS)
    with pytest.raises(RunFolderError, match="is a single run, and no folder for runs of folds"):
        refuse_other_kind(single, FOLDS)


def test_runs_side_by_side_are_no_folder_over_them(single, without_each, tmp_path):
    copied(single, tmp_path / "A")
    copied(without_each / "NORTH", tmp_path / "B")  # elsewhere than among the others
    (tmp_path / "report.html").touch()

    assert kind_over(tmp_path) is None and kind_over(without_each) == LEFT_OUT
    refuse_among_several(tmp_path / "C")
    refuse_as_page(tmp_path, images="")


@pytest.mark.parametrize("place", ["OUT/new", "OUT/new/deeper"])
def test_nothing_is_begun_among_several_runs(without_each, place):
    with pytest.raises(RunFolderError, match="lies in a folder of hospitals left out in turn"):
        refuse_among_several(without_each.parent / place)


def test_no_page_of_others_is_written_over_a_run_s_own_or_among_images(
    single, without_each, tmp_path, capsys
):
    copied(single, tmp_path / "OTHER")
    images = tmp_path / "images"
    images.mkdir()
    for out, says in (
        (tmp_path / "OTHER", "holds one run, with a page of its own"),
        (without_each, "holds hospitals left out in turn, with a page of its own"),
        (without_each / "both", "lies in a folder of hospitals left out in turn"),
    ):
        for runs in ([single], [single, tmp_path / "OTHER"]):
            before = {p: p.read_bytes() for p in out.glob("report.html")}
            assert run_app(["report", *map(str, runs), "--out", str(out)]) == 2
            assert says in capsys.readouterr().err.replace("\n", " ")
            assert {p: p.read_bytes() for p in out.glob("report.html")} == before
    with pytest.raises(RunFolderError, match="lies in the folder of the images"):
        refuse_as_page(images / "sub", images=images)


def test_a_run_s_own_page_is_drawn_where_it_lies(single):
    assert run_app(["report", str(single), "--out", str(single)]) == 0

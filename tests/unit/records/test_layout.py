"""How a run folder is begun, gone on with, and kept from a second process; what it refuses."""

import json
from pathlib import Path

import pytest

from roundelay.errors import LedgerError, RunFolderError
from roundelay.plan.arms import lay
from roundelay.records.arm import read_legs
from roundelay.records.layout import (
    RECORD,
    SAME,
    STUDY,
    begin_arm,
    begin_run,
    locked,
    open_run,
    read_record,
)
from roundelay.study.file import read_study
from surveys import study, surveys

PLAN = study(recipe={"batch": 2})
FACTS = {
    "study": PLAN.digest, "cohort": "c" * 64, "threads": 2, "network": {"run": "r1"},
    "synthetic": False, "arms": ["cwt-0"], "sites": [],
}  # fmt: skip


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def begun(tmp_path):
    """A run of PLAN that was begun and stopped."""
    begin_run(PLAN, tmp_path / "RUN", None, FACTS)
    return tmp_path / "RUN"


def test_a_new_run_writes_its_study_and_its_record(tmp_path):
    out = tmp_path / "deep" / "RUN"

    assert open_run(PLAN, out, resume=False) is None
    assert not out.exists()
    begin_run(PLAN, out, None, FACTS)

    assert read_study(out / STUDY, data=Path("somewhere")).without_places() == PLAN.without_places()
    assert (out / STUDY).read_text().splitlines()[0] == f"# digest {PLAN.digest}"
    assert read_record(out) == FACTS


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "RUN").write_text("mine")

    for resume in (False, True):
        with pytest.raises(RunFolderError, match="is a file"):
            open_run(PLAN, tmp_path / "RUN", resume=resume)
    assert (tmp_path / "RUN").read_text() == "mine"


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_anything_else_is_refused_and_left_alone(tmp_path, resume):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(RunFolderError, match=r"isn't empty\. Choose another --out"):
        open_run(PLAN, tmp_path, resume=resume)

    assert files(tmp_path).keys() == {(tmp_path / "notes.txt").relative_to(tmp_path)}


def test_a_run_that_was_begun_is_gone_on_with_only_when_asked(begun):
    with pytest.raises(RunFolderError, match="Go on with it by --resume"):
        open_run(PLAN, begun, resume=False)

    assert open_run(PLAN, begun, resume=True) == FACTS


@pytest.mark.parametrize("resume", [False, True])
def test_what_a_beginning_that_was_cut_off_left_is_no_hindrance(begun, resume):
    """The kill came after the study was written and before the record was."""
    (begun / RECORD).rename(begun / f".{RECORD}.123.tmp")
    (begun / ".lock").touch()

    assert open_run(PLAN, begun, resume=resume) is None


def test_the_beginning_of_another_study_is_not_written_over(begun):
    (begun / RECORD).unlink()

    with pytest.raises(RunFolderError, match="isn't empty"):
        open_run(study(recipe={"batch": 3}), begun, resume=True)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"recipe": {"batch": 3}}, "other recipe.batch)"),
        ({"recipe": {"batch": 2, "rounds": 9}}, "other recipe.rounds)"),
        ({"recipe": {"batch": 2}, "top": {"seeds": (1,)}}, "other seeds)"),
        (
            {"recipe": {"batch": 2}, "data": {"root": "elsewhere", "size": 64}},
            "other data.size)",
        ),
    ],
)
def test_a_run_of_another_study_is_not_gone_on_with_and_the_key_is_named(begun, changed, named):
    before = files(begun)

    with pytest.raises(RunFolderError) as caught:
        open_run(study(**changed), begun, resume=True)

    assert named in str(caught.value)
    assert str(begun / STUDY) in str(caught.value)
    assert files(begun) == before


def test_where_the_data_are_and_which_courier_carries_make_no_other_study(begun):
    moved = study(recipe={"batch": 2}, data={"root": "elsewhere"}, courier={"kind": "cluster"})

    assert open_run(moved, begun, resume=True) == FACTS


@pytest.mark.parametrize("text", [None, "{", '{"study": "\udcff"}'])
def test_a_folder_without_a_record_that_can_be_read_is_no_run(tmp_path, text):
    if text is not None:
        (tmp_path / RECORD).write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(RunFolderError, match=r"is not a run of Roundelay: .*run\.json"):
        read_record(tmp_path)


@pytest.mark.parametrize("key", SAME)
def test_what_would_give_other_bytes_is_refused_when_a_run_goes_on(begun, key):
    before = files(begun)

    with pytest.raises(RunFolderError, match=f"The {key} of {begun} changed"):
        begin_run(PLAN, begun, FACTS, {**FACTS, key: "another"})

    assert files(begun) == before


def test_a_run_that_goes_on_writes_nothing_anew(begun):
    before = {path: path.stat().st_mtime_ns for path in begun.iterdir()}

    begin_run(PLAN, begun, read_record(begun), {**FACTS, "python": "another"})

    assert {path: path.stat().st_mtime_ns for path in begun.iterdir()} == before


def test_a_second_process_is_kept_out_until_the_first_one_ends(tmp_path):
    out = tmp_path / "RUN"
    refused = pytest.raises(RunFolderError, match="Another process is running")
    with locked(out), refused, locked(out):
        pytest.fail("it came in")
    with locked(out):
        assert open_run(PLAN, out, resume=False) is None


def test_an_arms_itinerary_is_written_once_and_read_back(tmp_path):
    arm, longer = lay(PLAN, surveys())[0], lay(study(recipe={"rounds": 3}), surveys())[0]

    place = begin_arm(tmp_path, arm)
    assert begin_arm(tmp_path, longer) == place == tmp_path / "arms" / "cwt-0"

    assert read_legs(place) == arm.legs


@pytest.mark.parametrize("damage", ["missing", "cut", "a key more", "a key less"])
def test_an_itinerary_that_is_none_is_refused_with_its_name(tmp_path, damage):
    path = begin_arm(tmp_path, lay(PLAN, surveys())[0]) / "itinerary.json"
    values = json.loads(path.read_text())
    if damage == "a key more":
        values[0]["note"] = "x"
    elif damage == "a key less":
        del values[0]["stops"][0]["steps"]
    path.write_text(json.dumps(values)[: 50 if damage == "cut" else None])
    if damage == "missing":
        path.unlink()

    with pytest.raises(LedgerError, match=r"itinerary\.json"):
        read_legs(path.parent)

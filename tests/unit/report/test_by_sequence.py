"""The page has a table by missing sequence where some exam lacks one, of every method."""

import pytest

from fakes import scored, write_run
from roundelay.records.contents import read_run
from roundelay.report.by_sequence import sequences_blocks
from roundelay.report.people import fairness_section
from surveys import study

pytestmark = pytest.mark.usefixtures("few_resamples")


def scores_of(arm):
    gain = 0.2 if arm.name == "cwt" else 0.0
    return [scored(f"{s}-{i}", s, 0.4 + gain + i / 10) for s in ("NORTH", "EAST") for i in (0, 1)]


def a_run(place, attributes):
    write_run(place, study(top={"arms": ("cwt", "swt")}), attributes, scores_of=scores_of)
    return read_run(place)


def test_each_group_has_the_mean_of_every_method(tmp_path):
    lacks = {"missing_sequences": "post"}
    run = a_run(tmp_path / "RUN", {"NORTH-0": lacks, "EAST-0": lacks})

    table, _ = sequences_blocks(run)

    assert list(table.columns) == ["sequences", "patients", "cwt", "swt"]
    texts = [[cell.text for cell in row] for row in table.rows]
    assert [row[:2] for row in texts] == [["all there", "2 (few)"], ["without post", "2 (few)"]]
    assert [float(x) for row in texts for x in row[2:]] == pytest.approx(
        [0.7, 0.5, 0.6, 0.4], abs=0.01
    )
    captions = [getattr(block, "caption", "") for block in fairness_section(run).blocks]
    assert "Mean Dice by missing sequence" in captions


def test_where_nobody_lacks_one_there_is_no_table(tmp_path):
    assert sequences_blocks(a_run(tmp_path / "RUN", {})) == []


def test_of_how_many_something_is_not_known_is_said(tmp_path):
    known = {"NORTH-0": {"gender": "1", "grade": "2"}, "EAST-0": {"gender": "2"}}

    *_, last = fairness_section(a_run(tmp_path / "RUN", known)).blocks

    assert "nothing of its patients' age." in last.text
    assert "Not known: the sex of 2, the grade of 3 of 4 patients." in last.text

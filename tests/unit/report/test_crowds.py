"""A run of very many hospitals: a page that can be read, and no work that grows with the square."""

from unittest.mock import patch

import pytest

from fakes import ADDS, START, Footprints, toy_ledger, write_run
from roundelay.files.canonical import canonical_json
from roundelay.plan.arms import lay
from roundelay.relay.loop import relay
from roundelay.report.page import write_report
from roundelay.study.names import few_names
from surveys import study, surveys

CROWD = {f"site-{number:03}": 10 for number in range(60)}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("crowd")
    with patch.dict(ADDS, {site: 1.0 for site in CROWD}):
        plan = study(top={"arms": ("cwt", "fedavg")}, recipe={"rounds": 2, "epochs": 1})
        write_run(out, plan, {}, sizes=CROWD)
    return write_report(out).read_text()


def test_no_hospital_has_a_lane_or_a_name_in_a_figure(page: str) -> None:
    drawn = "".join(part.partition("</svg>")[0] for part in page.split("<svg")[1:])
    assert "site-0" not in drawn
    assert "60 hospitals" in drawn
    assert len(page) < 1_000_000


def test_long_tables_open_on_demand_and_say_how_long_they_are(page: str) -> None:
    assert "Patients (slices) of each hospital (60 rows)</summary>" in page
    assert "site-059" in page


def test_a_line_of_a_ledger_is_spelled_once_however_many_come_after(tmp_path) -> None:
    with patch.dict(ADDS, {site: 1.0 for site in CROWD}):
        arm = lay(study(recipe={"rounds": 1, "epochs": 1}), surveys(CROWD))[0]
        ledger = toy_ledger(tmp_path, arm)
        with patch("roundelay.relay.ledger.canonical_json", wraps=canonical_json) as spelled:
            relay(START, arm, Footprints(), ledger)
    assert spelled.call_count == len(arm.legs)
    lines = ledger.path.read_bytes().splitlines()
    assert lines == [canonical_json(line) for line in ledger.lines]


def test_of_very_many_names_the_first_ones_stand_and_a_count() -> None:
    assert few_names(["A", "B"]) == "A, B"
    assert few_names(list("ABCDE"), most=4) == "A, B and 3 more"

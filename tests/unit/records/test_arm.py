"""What a finished arm leaves, read back, and the table of all its patients."""

import csv
import hashlib
from dataclasses import replace
from types import SimpleNamespace

import pytest

from fakes import ADDS, write_run
from roundelay.evaluation.scores import PatientScore, RegionScore
from roundelay.records.arm import model_digest, read_validations
from roundelay.records.contents import read_run
from roundelay.records.result import RunResult
from roundelay.relay.chain import read_chain
from roundelay.relay.receipt import Receipt
from scored import patient
from surveys import SIZES, study

PLAN = study(
    top={"arms": ("cwt", "fedavg"), "seeds": (0, 1)},
    recipe={"rounds": 2, "epochs": 1, "compare_orders": ("reversed",)},
)
LABELS = ("cwt-0-given", "cwt-0-reversed", "fedavg-0", "cwt-1-given", "cwt-1-reversed", "fedavg-1")
SAID = {"NORTH-0": {"gender": "2", "grade": "1"}, "EAST-1": {"age": "40, about", "grade": "2"}}


@pytest.fixture(scope="module")
def run(module_path):
    write_run(module_path / "RUN", PLAN, SAID)
    return module_path / "RUN"


def test_a_finished_arm_is_read_back(run):
    place = run / "arms" / "cwt-0-given"
    chain = read_chain(place / "ledger.jsonl")

    found = read_run(run).arms[0]

    assert [receipt.site for receipt in found.receipts] == [*SIZES, *SIZES]
    assert list(found.receipts) == [Receipt(**r) for line in chain.legs for r in line["receipts"]]
    assert (found.label, found.head, found.chosen_leg) == (LABELS[0], chain.head, 5)
    assert [s.patient for s in found.scores] == [f"{s}-{n}" for s in SIZES for n in (0, 1)]
    assert found.scores[0].attributes == SAID["NORTH-0"]
    model = (place / "model.safetensors").read_bytes()
    assert found.model_digest == hashlib.sha256(model).hexdigest()


def test_a_model_that_only_hospitals_can_open_is_digested_as_it_lies(tmp_path):
    (tmp_path / "model.sealed").write_bytes(b"envelope")
    (tmp_path / "model.safetensors").write_bytes(b"open")

    assert model_digest(tmp_path) == hashlib.sha256(b"envelope").hexdigest()


def test_the_curve_has_a_row_a_visit_with_stops_counted_from_one(run):
    with (run / "arms" / "fedavg-0" / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert [(row["stop"], row["round"], row["site"]) for row in rows] == [
        (str(i + 1), str(1 + i // 3), site) for i, site in enumerate([*ADDS, *ADDS])
    ]
    assert {row["loss"] for row in rows} == {""}


def test_the_table_has_a_row_a_patient_an_arm_and_a_seed(run):
    with (run / "patients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == len(LABELS) * 6
    places = [(row["arm"], row["seed"], row["order"]) for row in rows[::6]]
    assert places == [
        ("cwt", "0", "given"), ("cwt", "0", "reversed"), ("fedavg", "0", ""),
        ("cwt", "1", "given"), ("cwt", "1", "reversed"), ("fedavg", "1", ""),
    ]  # fmt: skip
    for row, score in zip(rows, read_run(run).arms[0].scores, strict=False):
        assert (row["patient"], row["site"]) == (score.patient, score.site)
        assert float(row["dice"]) == score.dice and int(row["fn"]) == score.fn


def test_what_is_known_of_a_patient_stands_in_columns_of_its_own(run):
    with (run / "patients.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = {row["patient"]: row for row in reader}

    scores = [name for name in PatientScore.__slots__ if name not in ("attributes", "regions")]
    own = ["arm", "seed", "order", "model_site"]
    assert reader.fieldnames == [*own, *scores, "gender", "grade", "age"]
    known = {p: {k: row[k] for k in ("gender", "grade", "age")} for p, row in rows.items()}
    assert known.pop("NORTH-0") == {"gender": "2", "grade": "1", "age": ""}
    assert known.pop("EAST-1") == {"gender": "", "grade": "2", "age": "40, about"}
    assert {value for row in known.values() for value in row.values()} == {""}


def test_an_arm_that_follows_nothing_has_no_validations(run):
    assert read_validations(run / "arms" / LABELS[0]) == []


def test_no_column_of_the_table_comes_twice_and_no_cell_is_a_formula(tmp_path):
    said = {"dice": "=1+1", "SITE": "-2", "seed": "3", "attribute_dice": "4", "Seed ": "5"}
    write_run(tmp_path / "RUN", PLAN, {"NORTH-0": said})

    text = (tmp_path / "RUN" / "patients.csv").read_text()

    columns, first = list(csv.reader(text.splitlines()))[:2]
    assert len({column.casefold() for column in columns}) == len(columns)
    assert dict(zip(columns[-5:], first[-5:], strict=True)) == {
        "attribute_dice": "'=1+1", "attribute_SITE": "-2", "attribute_seed": "3",
        "attribute_attribute_dice": "4", "Seed ": "5",
    }  # fmt: skip


def test_a_region_called_as_a_column_of_ours_takes_no_column_away():
    region = RegionScore(0.25, 3.0, 0, 1, 2.0, 2.0, 1, 2, 3, 0.5, 0.25, 0.5)
    names = ("slice", "core")
    score = replace(patient("p", 0.9), regions=dict.fromkeys(names, region))
    arm = SimpleNamespace(label="cwt-0", arm="cwt", seed=0, order=None, site=None)

    columns, (row,) = RunResult.rows(SimpleNamespace(arms=[arm], scores={"cwt-0": [score]}))

    found = dict(zip(columns, row, strict=True))
    assert len(found) == len(columns)
    assert (found["dice"], found["slice_dice"]) == (0.9, score.slice_dice)
    assert (found["core_dice"], found["region_slice_dice"]) == (0.25, 0.25)

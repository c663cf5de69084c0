"""`threshold = "validation"`: each model's own, through a run, its records and its page."""

import json

import pytest
import safetensors

from fakes import scored, scored_surveys
from roundelay.data.survey import TEST, VALIDATION
from roundelay.errors import NetworkError, StudyError
from roundelay.evaluation.thresholds import CANDIDATES, PatientDices
from roundelay.network.wire.proposal import refuse_unfit_study
from roundelay.records.contents import read_run
from roundelay.records.verification import check_run
from roundelay.report.thresholds import thresholds_section
from surveys import study
from toy_runs import Toy, copied, put_json, reclose, rewrite_end, run_toy

pytestmark = pytest.mark.usefixtures("few_resamples")

SETTINGS = {"threshold": "validation", "choose": "best"}
PLAN = study(
    top={"arms": ("cwt", "fedavg")},
    recipe={"rounds": 2, "epochs": 1, "precision": "float32"},
    evaluation=SETTINGS,
    courier={"threads": 1},
)


class Cut(Toy):
    """Scores fall by the distance from the best threshold, 0.3 for cwt's models and 0.6 else."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def dices(self, site, split, weight, threshold):
        best = 0.3 if weight == 222 else 0.6
        off = abs(threshold - best) / 2
        return [
            scored(f"{site}-{number}", site, self.dice_of(weight, site) + apart - off, split)
            for number, apart in enumerate((-0.1, 0.1))
        ]

    def evaluate(self, baton, sites, scoring):
        (threshold,) = scoring.thresholds or (0.5,)
        self.asked.append((scoring.arm, scoring.split, threshold))
        weight = float(baton.part("model/")["w"][0])
        return [s for site in sites for s in self.dices(site, scoring.split, weight, threshold)]

    def threshold_dices(self, baton, sites):
        weight = float(baton.part("model/")["w"][0])
        columns = [
            [s for site in sites for s in self.dices(site, VALIDATION, weight, candidate)]
            for candidate in CANDIDATES
        ]
        return [
            PatientDices(row[0].patient, row[0].site, {"tumour": tuple(s.dice for s in row)})
            for row in zip(*columns, strict=True)
        ]


@pytest.fixture(scope="module")
def finished(module_path, few_resamples):
    courier = Cut()
    run_toy(module_path / "RUN", PLAN, courier=lambda: courier)
    return module_path / "RUN", courier


@pytest.fixture
def run(finished, tmp_path):
    return copied(finished[0], tmp_path / "RUN")


def arm(run, label="cwt-0"):
    return run / "arms" / label


def test_every_model_has_its_own_threshold_and_is_scored_at_it(finished):
    run, courier = finished

    headers = {}
    for label in ("cwt-0", "fedavg-0"):
        with safetensors.safe_open(arm(run, label) / "model.safetensors", "numpy") as file:
            headers[label] = json.loads(file.metadata()["roundelay"])["threshold"]
    assert headers == {"cwt-0": [0.3], "fedavg-0": [0.6]}
    final = [one for one in courier.asked if one[0] == "cwt-0"][-2:]
    assert final == [("cwt-0", VALIDATION, 0.3), ("cwt-0", TEST, 0.3)]
    rows = json.loads((run / "summary.json").read_text())["arms"]
    assert [row["thresholds"] for row in rows] == [{"tumour": 0.3}, {"tumour": 0.6}]
    assert json.loads((run / "run.json").read_text())["threshold_candidates"] == list(CANDIDATES)


def test_the_page_says_what_was_chosen_and_what_it_was_worth(run):
    found = read_run(run)

    (table, text) = thresholds_section(found).blocks

    patients = found.arms[0].thresholds.patients
    at = [sum(one.dice["tumour"][i] for one in patients) / len(patients) for i in (1, 3)]
    assert [cell.text for cell in table.rows[0]] == [
        "cwt-0", "tumour", "0.3", f"{at[0]:.3f}", f"{at[1]:.3f}", "6 patients",
    ]  # fmt: skip
    assert "Test patients chose nothing" in text.text


def test_verify_computes_the_choice_again(run):
    claims = check_run(run).claims

    assert not check_run(run).failed
    assert sum("thresholds are those" in claim.text for claim in claims) == 2


def _other_choice(values):
    values["chosen"]["tumour"] = 0.4


def _other_dice(values):
    values["patients"][0]["dice"]["tumour"][1] = 0.1


def _other_patient(values):
    del values["patients"][0]


@pytest.mark.parametrize("change", [_other_choice, _other_dice, _other_patient])
def test_another_choice_is_found_whoever_closed_the_ledger_anew(run, change):
    put_json(arm(run) / "thresholds.json", change)
    reclose(arm(run))
    rewrite_end(run)

    assert any("thresholds are those" in claim.text for claim in check_run(run).failed)


def test_a_choice_that_was_taken_out_is_found(run):
    (arm(run) / "thresholds.json").unlink()
    reclose(arm(run))
    rewrite_end(run)

    assert any("thresholds are those" in claim.text for claim in check_run(run).failed)


def test_a_killed_run_goes_on_to_the_same_bytes(finished, tmp_path):
    class Dies(Cut):
        def evaluate(self, baton, sites, scoring):
            if scoring.thresholds:
                raise KeyboardInterrupt
            return super().evaluate(baton, sites, scoring)

    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "RUN", PLAN, courier=Dies)
    run_toy(tmp_path / "RUN", PLAN, courier=Cut, resume=True)

    for name in ("arms/cwt-0/thresholds.json", "arms/cwt-0/model.safetensors"):
        assert (tmp_path / "RUN" / name).read_bytes() == (finished[0] / name).read_bytes()


def test_without_validation_patients_it_is_refused():
    with pytest.raises(ValueError, match="needs validation patients, who choose it"):
        study(data={"split": {"validation": 0.0, "test": 0.3}}, evaluation=SETTINGS)


def test_where_no_site_has_one_it_is_refused_before_training(tmp_path):
    class Without(Toy):
        def survey(self):
            return scored_surveys(validation=0)

    chosen = study(evaluation={"threshold": "validation"}).evaluation
    plan = PLAN.model_copy(update={"evaluation": chosen})
    with pytest.raises(StudyError, match='threshold = "validation" needs validation patients'):
        run_toy(tmp_path / "RUN", plan, courier=Without)

    assert not (tmp_path / "RUN").exists()


def test_between_hospitals_it_is_refused():
    with pytest.raises(NetworkError, match="Between hospitals write a number"):
        refuse_unfit_study(study(evaluation={"threshold": "validation"}))


def test_a_study_that_names_a_number_keeps_its_digest():
    assert study().digest == study(evaluation={"threshold": 0.5}).digest
    assert study().digest != study(evaluation={"threshold": "validation"}).digest

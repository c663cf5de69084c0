"""Cross-validation: every patient tests in one fold, and one page tells of all of them."""

import csv
import json
import shutil
from html import unescape
from pathlib import Path
from statistics import fmean, median

import pytest

import roundelay
from roundelay.cli.app import run_app
from roundelay.errors import ModelError, NetworkError, StudyError
from roundelay.learning.model_file import find_model
from roundelay.network.wire.proposal import refuse_unfit_study
from roundelay.phantom.cohort import make_toy
from roundelay.plan.progress import Step
from roundelay.relay.ledger import read_ledger
from roundelay.study.file import read_study
from surveys import study as toy_study

SITES = {"EAST": 4, "ONE": 1}
STUDY = """
name = "folded"
arms = ["cwt"]
seeds = [0, 1]
[data]
root = "data"
size = 32
split = { validation = 0.2, test = 0.25 }
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 1
batch = 2
deterministic = true
site_order = ["ONE", "EAST"]
[evaluation]
samples = false
"""

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def study(module_path) -> Path:
    make_toy(module_path / "data", seed=1, patients=SITES, slices=4, size=64)
    (module_path / "study.toml").write_text(STUDY)
    return module_path / "study.toml"


@pytest.fixture(scope="module", autouse=True)
def _no_pages_of_single_folds():
    """They are any run's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roundelay.running.run.draw_or_say", lambda *_: "")
        yield


@pytest.fixture(scope="module")
def finished(study, few_resamples) -> Path:
    out = study.parent / "OUT"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study.parent)  # --data is relative to where the command is given
        named = ["run", "study.toml", "--data", "data", "--out", "OUT"]
        assert run_app([*named, "--folds", "2", "--json"]) == 0
    return out


def scores_of(out, fold, label):
    path = out / f"fold-{fold}" / "arms" / label / "scores.json"
    return [s for s in json.loads(path.read_text())["scores"] if s["split"] == "test"]


def test_every_patient_tests_once_by_models_that_did_not_train_on_them(finished):
    summary = json.loads((finished / "summary.json").read_text())

    found: dict[str, list[float]] = {}
    for seed in (0, 1):
        for fold in (1, 2):
            for score in scores_of(finished, fold, f"cwt-{seed}"):
                found.setdefault(score["patient"], []).append(score["dice"])
    assert len(found) == 5 and all(len(own) == 2 for own in found.values())
    (cwt,) = summary["methods"]
    means = [fmean(own) for own in found.values()]
    assert cwt["dice_mean"] == pytest.approx(fmean(means))
    assert cwt["dice_median"] == pytest.approx(median(means))
    seeds = [fmean(own[seed] for own in found.values()) for seed in (0, 1)]
    assert cwt["single_seeds"] == pytest.approx(seeds)
    assert cwt["patients"] == 5
    assert {s: one["patients"] for s, one in cwt["by_site"].items()} == SITES
    assert sum(fold["patients"] for fold in cwt["by_fold"].values()) == 5
    assert [fold["folder"] for fold in summary["folds"]] == ["fold-1", "fold-2"]
    with (finished / "patients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    own = [row for row in rows if (row["arm"], row["seed"]) == ("cwt", "1")]
    assert {row["patient"]: float(row["dice"]) for row in own} == {
        p: d[1] for p, d in found.items()
    }
    assert {row["split"] for row in rows} == {"test"} and {row["fold"] for row in own} == {"1", "2"}


def test_a_site_whose_only_patient_tests_does_not_train_in_that_fold(finished):
    for fold in (1, 2):
        legs = read_ledger(finished / f"fold-{fold}" / "arms" / "cwt-0" / "ledger.jsonl")[1:]
        trained = [r["site"] for leg in legs if "receipts" in leg for r in leg["receipts"]]
        tests = {score["site"] for score in scores_of(finished, fold, "cwt-0")}
        assert trained == (["EAST"] if "ONE" in tests else ["ONE", "EAST"])


def test_a_fold_is_an_ordinary_run_and_validation_patients_are_of_the_rest(finished, capsys):
    place = finished / "fold-2"

    assert run_app(["ledger", "verify", str(place)]) == 0
    assert run_app(["ledger", "show", str(place)]) == 0
    record = json.loads((place / "run.json").read_text())
    assert {s["site"]: s["patients"]["validation"] for s in record["sites"]} == {
        "EAST": 1,
        "ONE": 0,
    }
    study = read_study(place / "study.toml")
    assert (study.data.folds, study.data.test_fold) == (2, 2)
    again = ["run", str(place / "study.toml"), "--out", str(place), "--resume", "--json"]
    # As what it is: one run, in which one fold tests.
    capsys.readouterr()
    assert run_app(again) == 0
    assert json.loads(capsys.readouterr().out)["study"] == record["study"]


def test_verify_show_and_report_read_all_folds(finished, capsys):
    before = (finished / "report.html").read_bytes()
    page = unescape(before.decode())
    assert "Still running" not in page and "cross-validation, 2 folds" in page
    assert "made to be scored" in page
    assert run_app(["report", str(finished)]) == 0
    assert (finished / "report.html").read_bytes() == before
    capsys.readouterr()

    assert run_app(["ledger", "verify", str(finished)]) == 0
    told = capsys.readouterr().out
    assert "every patient tests in one fold, and in one alone: checked" in told
    assert "are what the folds come to: checked" in told and "fold-2/cwt-1: every line" in told

    assert run_app(["ledger", "show", str(finished), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert sorted(shown) == [f"fold-{fold}/cwt-{seed}" for fold in (1, 2) for seed in (0, 1)]

    with pytest.raises(ModelError, match="a model for each fold"):
        find_model(finished)


@pytest.mark.parametrize("damage", ["summary", "table", "fold away", "fold twice", "stranger"])
def test_what_is_changed_over_the_folds_is_found(finished, tmp_path, capsys, damage):
    out = shutil.copytree(finished, tmp_path / "OUT")
    if damage == "summary":
        summary = json.loads((out / "summary.json").read_text())
        summary["methods"][0]["by_site"]["EAST"]["mean"] = 0.99
        (out / "summary.json").write_text(json.dumps(summary))
    elif damage == "table":
        text = (out / "patients.csv").read_text()
        (out / "patients.csv").write_text(text.replace("EAST", "WEST", 1))
    elif damage == "fold away":
        shutil.rmtree(out / "fold-2")
    elif damage == "fold twice":
        shutil.rmtree(out / "fold-2")
        shutil.copytree(out / "fold-1", out / "fold-2")
    else:
        (out / "notes.txt").write_text("")

    assert run_app(["ledger", "verify", str(out)]) == 2
    told = capsys.readouterr().out
    assert {
        "summary": "says otherwise at methods.0.by_site.EAST.mean",
        "table": "does not hold the rows that the folds give",
        "fold away": "1 of 2 folds are there",
        "fold twice": "is the run of fold 1",
        "stranger": "notes.txt is no part of the run",
    }[damage] in told


def test_killed_in_the_second_fold_and_resumed_it_gives_the_same_bytes(study, finished, tmp_path):
    def killed(event):
        if isinstance(event, Step) and (tmp_path / "OUT" / "fold-2" / "arms" / "cwt-1").exists():
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        roundelay.run_folds(study, tmp_path / "OUT", folds=2, on_event=killed)
    assert not (tmp_path / "OUT" / "summary.json").exists()
    page = (tmp_path / "OUT" / "report.html").read_text()
    assert "Still running" in page and "1 of 2 folds so far" in page
    assert run_app(["ledger", "verify", str(tmp_path / "OUT")]) == 0  # of what is there so far
    done = tmp_path / "OUT" / "fold-1" / "closing.json"
    before = done.stat().st_mtime_ns

    found = roundelay.run_folds(study, tmp_path / "OUT", folds=2, resume=True)

    assert found.finished and done.stat().st_mtime_ns == before
    for path in finished.rglob("model.safetensors"):
        twin = tmp_path / "OUT" / path.relative_to(finished)
        assert twin.read_bytes() == path.read_bytes()
    for key in ("methods", "comparisons", "groups"):
        assert found.as_json()[key] == json.loads((finished / "summary.json").read_text())[key]


def test_check_says_time_and_disk_of_all_folds_and_who_tests_where(study, finished, capsys):
    text = STUDY.replace('root = "data"', 'root = "data"\nfolds = 2')
    (study.parent / "keyed.toml").write_text(text)

    assert run_app(["check", str(study.parent / "keyed.toml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    for fold in (1, 2):
        record = json.loads((finished / f"fold-{fold}" / "run.json").read_text())
        assert found["folds"][fold - 1]["sites"] == record["sites"]
        assert found["folds"][fold - 1]["study"] == record["study"]
        assert [arm["arm"] for arm in found["folds"][fold - 1]["arms"]] == record["arms"]
    written = sum(p.stat().st_size for p in finished.rglob("arms/**/*.safetensors"))
    assert written <= found["disk"] < 1.3 * written
    assert found["seconds"] > 0
    assert any("ONE has 1 patient, too few for 2 folds" in text for text in found["notices"])

    assert run_app(["check", str(study), "--folds", "3"]) == 0
    told = capsys.readouterr().out
    assert "test in fold 3" in told and "of all 3 folds take about" in told


@pytest.mark.parametrize(
    ("change", "option", "said"),
    [
        ('[evaluation]\nleave_out = "EAST"', [], "contradict each other"),
        ("[data]\nfold = 1\nformat = \"datalist\"", [], "contradict each other"),
        ("split = { validation = 0.5, test = 0.25 }", [], "leave no patient to train on"),
        ("", ["--leave-one-site-out"], "keeps whole hospitals from training"),
        ("", ["--folds", "1"], "data.folds: Input should be greater than or equal to 2"),
        ("", ["--folds", "9"], "of 9 no patient tests"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_before_anything_is_written(
    study, tmp_path, capsys, change, option, said
):
    text = STUDY.replace('"data"', json.dumps(str(study.parent / "data")))
    begin = "split" if change.startswith("split") else change.partition("\n")[0]
    old = next((x for x in text.splitlines() if begin and x.startswith(begin)), "")
    text = text.replace(old, change) if old else text
    (tmp_path / "study.toml").write_text(text)
    out = tmp_path / "OUT"

    arguments = ["run", str(tmp_path / "study.toml"), "--out", str(out), "--folds", "2", *option]
    assert run_app(arguments) == 2

    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_asked_for_all_folds_a_study_of_one_fold_gives_them(tmp_path):
    text = 'name = "x"\n[data]\nroot = "y"\nfolds = 3\ntest_fold = {}\n'
    (tmp_path / "one.toml").write_text(text.format(2))
    (tmp_path / "other.toml").write_text(text.format(4))

    assert read_study(tmp_path / "one.toml").data.test_fold == 2
    asked = read_study(tmp_path / "one.toml", folds=5).data
    assert (asked.folds, asked.test_fold) == (5, None)
    with pytest.raises(StudyError, match="but there are 3 folds"):
        read_study(tmp_path / "other.toml")


def test_one_run_and_hospitals_of_a_network_take_no_folds(tmp_path):
    study = toy_study(data={"folds": 5})

    with pytest.raises(StudyError, match="is a run for each fold"):
        roundelay.run(study, tmp_path / "OUT")
    with pytest.raises(NetworkError, match="every hospital would have to approve"):
        refuse_unfit_study(study)


def test_a_study_without_folds_keeps_its_digest():
    assert "folds" not in toy_study().without_places()["data"]
    assert toy_study(data={"folds": 5}).digest != toy_study().digest
    assert toy_study(data={"folds": 5}).of_fold(2).of_fold(None) == toy_study(data={"folds": 5})


def test_hospitals_left_out_in_turn_are_not_run_into_a_folder_of_folds(study, finished, capsys):
    before = {p: p.read_bytes() for p in finished.iterdir() if p.is_file()}
    arguments = ["run", str(study), "--out", str(finished), "--leave-one-site-out", "--resume"]

    assert run_app(arguments) == 2
    assert "holds folds (fold-1), and this would be hospitals left" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in finished.iterdir() if p.is_file()} == before

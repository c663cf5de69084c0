"""A finished run folder under attack: what `ledger verify` says of each manipulation.

Each is one row: what is done, and the claim that fails. The last table has what no chain can show
by itself: everything is written anew by somebody who knows the format. There all claims hold, and
only the heads, compared with ones held elsewhere, give it away.
"""

import json
import os
import shutil

import pytest

from roundelay.cli.app import run_app
from roundelay.errors import RunFolderError
from roundelay.files.canonical import digest_of
from roundelay.records.verification import check_run
from toy_runs import (
    close_anew,
    copied,
    put,
    put_json,
    rechain,
    reclose,
    rewrite_end,
)

CHAIN = "every line follows"
OF_ARM = "its ledger is of this arm"
PLANNED = "its itinerary is the plan"
VISITS = "every visit is one that was planned"
HANDOVERS = "every site began with what"
BATONS = "the batons that must be kept"
LAST_LINE = "the ledger's last line names"
CHOICE = "the hand-over whose model is taken"
MODEL = "the model is the one"
VALIDATION = "validation.json has"
SCORES = "every patient is scored"
CURVE = "curve.csv holds"
STUDY = "study.toml is the study"
COHORT = "the sites' numbers"
ARMS = "run.json names every arm"
PLAN = "every itinerary is the one that study"
STARTS = "all arms of a seed"
SAME_PATIENTS = "all arms scored the same"
SUMMARY = "summary.json is what"
PATIENTS = "patients.csv is what"
PICTURES = "the list of pictures"
CLOSING = "closing.json names every head"


pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def honest(toy_run):
    """What is said of the run as it was written."""
    return check_run(toy_run)


@pytest.fixture
def run(toy_run, tmp_path):
    return copied(toy_run, tmp_path / "RUN")


def cwt(run):
    return run / "arms" / "cwt-0"


def fedavg(run):
    return run / "arms" / "fedavg-0"


def baton(run, number=-1):
    """The file of a hand-over's baton."""
    lines = (cwt(run) / "ledger.jsonl").read_text().splitlines()
    legs = [json.loads(line) for line in lines if '"leg"' in line]
    return cwt(run) / "batons" / f"{legs[number]['baton']}.safetensors"


def flipped(path, place=-2):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    put(path, bytes(data))


def cut(path):
    put(path, path.read_bytes()[:-20])


def swapped(one, other):
    first, second = one.read_bytes(), other.read_bytes()
    put(one, second)
    put(other, first)


def better(values):
    """Scores of a Dice of 0.99, with counts to match."""
    for score in values["scores"]:
        score.update(dice=198 / 200, tp=99, fp=1, fn=1, slice_dice=198 / 200)
        score.update(reference_volume=100.0, predicted_volume=100.0)


def on_arm(change):
    """A change of an entry of the ledger of cwt-0, all lines chained anew."""
    return lambda run: rechain(cwt(run), change)


def entry(number, **values):
    return on_arm(lambda entries: entries[number].update(values))


def receipt(number, **values):
    return on_arm(lambda entries: entries[number]["receipts"][0].update(values))


def in_json(name, change):
    return lambda run: put_json(run / name, change)


def both(*changes):
    def change(run):
        for one in changes:
            one(run)

    return change


def resealed(change):
    """closing.json with a change, and a digest to match."""

    def apply(run):
        values = json.loads((run / "closing.json").read_text())
        change(values)
        values["digest"] = digest_of({key: values[key] for key in ("heads", "files")})
        put(run / "closing.json", json.dumps(values))

    return apply


def on(place, deed, name):
    return lambda run: deed(place(run) / name)


def root(run):
    return run


def gone(path):
    path.unlink()


def without(*place):
    def change(values):
        for key in place[:-1]:
            values = values[key]
        del values[place[-1]]

    return change


def closed_anew(run):
    """All that ends the arm and the run, written anew over what is there now."""
    reclose(cwt(run))
    rewrite_end(run)


def last_row(rows):
    """Of the hand-over that is taken."""
    rows[-1]["dice"].update(dict.fromkeys(rows[-1]["dice"], 0.99))


def other_counts(values):
    """Of one pixel each, which was found."""
    for score in values["scores"]:
        score.update(tp=1, fp=0, fn=0, dice=1.0)


FORGED_SCORES = in_json("arms/cwt-0/scores.json", better)

MANIPULATIONS = [
    # the ledger
    ("a byte of the ledger flipped", on(cwt, flipped, "ledger.jsonl"), CHAIN),
    ("the ledger cut within a line", on(cwt, cut, "ledger.jsonl"), CHAIN),
    ("the ledger deleted", on(cwt, gone, "ledger.jsonl"), ARMS),
    ("the ledger emptied", lambda run: put(cwt(run) / "ledger.jsonl", b""), CHAIN),
    ("the ledger is another arm's",
     lambda run: swapped(cwt(run) / "ledger.jsonl", fedavg(run) / "ledger.jsonl"), OF_ARM),
    ("the ledger's last line cut off", on_arm(lambda entries: entries.pop()), LAST_LINE),
    ("the last leg cut out, chained anew", on_arm(lambda entries: entries.pop(-2)), "no leg is"),
    ("two legs swapped, chained anew",
     on_arm(lambda entries: entries.insert(1, entries.pop(2))), VISITS),
    ("a leg twice, chained anew", on_arm(lambda entries: entries.insert(1, entries[1])), VISITS),
    ("a visit of another site, chained anew", receipt(1, site="EAST"), VISITS),
    ("more slices in a receipt, chained anew", receipt(1, slice_visits=10**6), VISITS),
    ("fewer patients in a receipt, chained anew", receipt(2, patients=1), VISITS),
    ("a stop said to be skipped, chained anew", receipt(2, task="absent"), VISITS),
    ("other weights received, chained anew", receipt(3, received="0" * 64), HANDOVERS),
    ("other weights returned, chained anew", receipt(3, returned="0" * 64), HANDOVERS),
    ("another baton noted, chained anew", entry(6, baton="0" * 64), HANDOVERS),
    ("another study noted, chained anew", entry(0, study="0" * 64), OF_ARM),
    ("another cohort noted, chained anew", entry(0, cohort="0" * 64), OF_ARM),
    ("another arm noted, chained anew", entry(0, arm="swt-0"), OF_ARM),
    ("another plan noted, chained anew", entry(0, itinerary="0" * 64), PLANNED),
    ("other first weights noted, chained anew", entry(0, start="0" * 64), STARTS),
    ("other seconds stated, chained anew", receipt(1, seconds=9999.0), CURVE),
    ("a path as a baton, chained anew", entry(6, baton="../../../../etc/passwd"), CHAIN),
    ("a receipt that is none, chained anew", entry(2, receipts=[7]), CHAIN),
    ("a line after the last one", on_arm(lambda entries: entries.append(entries[1])), CHAIN),
    ("a model added beside the arm's", lambda run: put(cwt(run) / "model.sealed.bin", b"x"),
     LAST_LINE),
    ("a model added beside the arms", lambda run: put(run / "model.safetensors", b"x"), CLOSING),
    ("a table added beside the arms", lambda run: put(run / "patients-final.csv", b"x"), CLOSING),
    ("a folder of results added", lambda run: copied(cwt(run), run / "best"), CLOSING),
    ("a folder added to the pictures", lambda run: copied(cwt(run), run / "samples" / "new"),
     CLOSING),
    ("a table added beside the arm's", lambda run: put(cwt(run) / "scores.csv", b"x"), LAST_LINE),
    ("the format deleted, so that an older version seems to have begun it",
     in_json("run.json", lambda v: v.__delitem__("format")), STUDY),
    ("the word that patients are synthetic altered",
     in_json("run.json", lambda v: v.update(synthetic=not v["synthetic"])), STUDY),
    ("other counts of the same patient in one arm",
     in_json("arms/cwt-0/scores.json", other_counts), SAME_PATIENTS),
    ("the row of the hand-over that was taken altered",
     in_json("arms/cwt-0/validation.json", last_row), "its row of that"),
    ("a difference turned round, and other software claimed",
     both(in_json("run.json", lambda v: v.update(numpy="1.0")),
          in_json("summary.json", lambda v: v["comparisons"][0].update(difference=0.123))),
     SUMMARY),
    ("a volume that is not that of the counted pixels",
     in_json("arms/cwt-0/scores.json", lambda v: v["scores"][0].update(reference_volume=1e6)),
     SCORES),
    ("a key twice in the summary",
     lambda run: put(run / "summary.json", (run / "summary.json").read_bytes().replace(
         b"{", b'{"name": "forged",', 1)), SUMMARY),
    ("pictures named by a path outside", in_json("samples/samples.json", lambda v: v[0].update(
        file="../../../secret.png")), PICTURES),
    # the plan
    ("an itinerary deleted", on(cwt, gone, "itinerary.json"), PLANNED),
    ("a byte of an itinerary flipped", on(cwt, flipped, "itinerary.json"), PLANNED),
    ("more steps in an itinerary",
     in_json("arms/cwt-0/itinerary.json", lambda v: v[0]["stops"][0].update(steps=7)), PLAN),
    ("the itinerary is another arm's",
     lambda run: swapped(cwt(run) / "itinerary.json", fedavg(run) / "itinerary.json"), PLAN),
    # batons
    ("all batons deleted", lambda run: shutil.rmtree(cwt(run) / "batons"), BATONS),
    ("the last baton deleted", lambda run: gone(baton(run)), BATONS),
    ("the first round's baton deleted", lambda run: gone(baton(run, 2)), BATONS),
    ("a byte of a baton flipped", lambda run: flipped(baton(run)), BATONS),
    ("a baton cut", lambda run: cut(baton(run)), BATONS),
    ("two batons swapped", lambda run: swapped(baton(run), baton(run, -2)), BATONS),
    ("a baton added",
     lambda run: put(baton(run).with_name(f"{'0' * 64}.safetensors"), b"x"), BATONS),
    # the arm's end
    ("the model deleted", on(cwt, gone, "model.safetensors"), LAST_LINE),
    ("a byte of the model flipped", on(cwt, flipped, "model.safetensors"), LAST_LINE),
    ("the model cut", on(cwt, cut, "model.safetensors"), LAST_LINE),
    ("the models of two arms swapped",
     lambda run: swapped(cwt(run) / "model.safetensors", fedavg(run) / "model.safetensors"), MODEL),
    ("another model, everything closed anew",
     both(on(cwt, flipped, "model.safetensors"), closed_anew), MODEL),
    ("a baton as the model, everything closed anew",
     both(lambda run: put(cwt(run) / "model.safetensors", baton(run).read_bytes()),
          closed_anew), MODEL),
    ("scores deleted", on(cwt, gone, "scores.json"), LAST_LINE),
    ("scores forged to 0.99", FORGED_SCORES, LAST_LINE),
    ("scores of two arms swapped",
     lambda run: swapped(cwt(run) / "scores.json", fedavg(run) / "scores.json"), LAST_LINE),
    ("scores forged to 0.99, summary and table written to match",
     both(FORGED_SCORES, rewrite_end), LAST_LINE),
    ("a Dice without its counts, everything closed anew",
     both(in_json("arms/cwt-0/scores.json", lambda v: v["scores"][0].update(dice=0.99)),
          closed_anew), SCORES),
    ("a site's patients as one row of 0.99, everything closed anew",
     both(in_json("arms/cwt-0/scores.json", lambda v: (v["scores"].pop(1), v["scores"][0].update(
         patients=2, slices=2, dice=0.99))), closed_anew), SCORES),
    ("a patient left out of the scores, everything closed anew",
     both(in_json("arms/cwt-0/scores.json", lambda v: v["scores"].pop()),
          closed_anew), SCORES),
    ("other patients in one arm, everything closed anew",
     both(in_json("arms/cwt-0/scores.json", lambda v: v["scores"][0].update(patient="x")),
          closed_anew), SAME_PATIENTS),
    ("another hand-over chosen, everything closed anew",
     both(in_json("arms/cwt-0/scores.json", lambda v: v.update(chosen_leg=2)),
          closed_anew), CHOICE),
    ("validation deleted", on(cwt, gone, "validation.json"), LAST_LINE),
    ("a validation forged",
     in_json("arms/cwt-0/validation.json", lambda v: v[0]["dice"].update(NORTH=0.99)), LAST_LINE),
    ("a validation left out, everything closed anew",
     both(in_json("arms/cwt-0/validation.json", lambda v: v.pop(0)),
          closed_anew), VALIDATION),
    ("an earlier round validated better, everything closed anew",
     both(in_json("arms/cwt-0/validation.json", lambda v: v[0]["dice"].update(NORTH=1.0, EAST=1.0)),
          closed_anew), CHOICE),
    ("a curve deleted", on(cwt, gone, "curve.csv"), LAST_LINE),
    ("a curve forged, everything closed anew",
     both(lambda run: put(cwt(run) / "curve.csv", "stop,round\n1,1\n"),
          closed_anew), CURVE),
    # the run's own files
    ("summary deleted", on(root, gone, "summary.json"), SUMMARY),
    ("summary cut", on(root, cut, "summary.json"), SUMMARY),
    ("a Dice of the summary forged",
     in_json("summary.json", lambda v: v["arms"][0]["test"].update(dice_mean=0.99)), SUMMARY),
    ("a Dice of the summary forged, closed anew",
     both(in_json("summary.json", lambda v: v["arms"][0]["test"].update(dice_mean=0.99)),
          close_anew), SUMMARY),
    ("a head of the summary forged, closed anew",
     both(in_json("summary.json", lambda v: v["arms"][1].update(head="0" * 64)), close_anew),
     SUMMARY),
    ("an arm left out of the summary, closed anew",
     both(in_json("summary.json", lambda v: v["arms"].pop()), close_anew), SUMMARY),
    ("patients.csv deleted", on(root, gone, "patients.csv"), PATIENTS),
    ("a row of patients.csv forged",
     lambda run: put(run / "patients.csv",
                     (run / "patients.csv").read_text().replace("0.", "0.9", 1)), PATIENTS),
    ("patients.csv cut at a row, closed anew",
     both(lambda run: put(run / "patients.csv",
                          "".join((run / "patients.csv").read_text().splitlines(True)[:-1])),
          close_anew), PATIENTS),
    ("another torch in run.json", in_json("run.json", lambda v: v.update(torch="9")), CLOSING),
    ("resumes struck out", in_json("run.json", lambda v: v.update(resumed=[])), CLOSING),
    ("a site's numbers in run.json forged",
     in_json("run.json", lambda v: v["sites"][0]["patients"].update(test=900)), COHORT),
    ("another cohort in run.json", in_json("run.json", lambda v: v.update(cohort="0")), COHORT),
    ("another study in run.json", in_json("run.json", lambda v: v.update(study="0")), STUDY),
    ("study.toml deleted", on(root, gone, "study.toml"), STUDY),
    ("a key of study.toml changed",
     lambda run: put(run / "study.toml",
                     (run / "study.toml").read_text().replace("rounds = 2", "rounds = 3")), STUDY),
    ("study.toml is none", lambda run: put(run / "study.toml", b"\xff\x00["), STUDY),
    ("closing.json deleted", on(root, gone, "closing.json"), CLOSING),
    ("closing.json is none", lambda run: put(run / "closing.json", "[" * 10**5), CLOSING),
    ("a byte of closing.json flipped", on(root, flipped, "closing.json"), CLOSING),
    ("another head in closing.json",
     resealed(lambda values: values["heads"].update({"cwt-0": "0" * 64})), CLOSING),
    ("a file left out of closing.json",
     resealed(lambda values: values["files"].pop("patients.csv")), CLOSING),
    ("a path in closing.json",
     resealed(lambda values: values["files"].update({"../x": "0" * 64})), CLOSING),
    ("a picture changed", on(root, flipped, "samples/NORTH-best.png"), CLOSING),
    ("a picture deleted", on(root, gone, "samples/NORTH-best.png"), CLOSING),
    ("a picture added", lambda run: put(run / "samples" / "mine.png", b"x"), CLOSING),
    ("a picture of a better Dice, closed anew",
     both(in_json("samples/samples.json", lambda v: v[0].update(dice=0.99)), close_anew), PICTURES),
    # arms
    ("an arm removed", lambda run: shutil.rmtree(cwt(run)), ARMS),
    ("an arm removed, its name too, everything closed anew",
     both(lambda run: shutil.rmtree(fedavg(run)),
          in_json("run.json", lambda v: v.update(arms=["cwt-0"])), rewrite_end), ARMS),
    ("an arm renamed", lambda run: cwt(run).rename(run / "arms" / "swt-0"), ARMS),
    ("an arm renamed, its name too",
     both(lambda run: cwt(run).rename(run / "arms" / "swt-0"),
          in_json("run.json", lambda v: v.update(arms=["swt-0", "fedavg-0"]))), ARMS),
    ("an arm added", lambda run: copied(cwt(run), run / "arms" / "cwt-9"), ARMS),
    ("two arms change places",
     lambda run: (cwt(run).rename(run / "x"), fedavg(run).rename(cwt(run)),
                  (run / "x").rename(fedavg(run))), OF_ARM),
    ("a path as an arm's name",
     in_json("run.json", lambda v: v.update(arms=["../../x", "cwt-0"])), ARMS),
]  # fmt: skip


def test_there_are_at_least_forty_of_them():
    assert len(MANIPULATIONS) >= 80


@pytest.mark.parametrize(("deed", "claim"), [row[1:] for row in MANIPULATIONS],
                         ids=[row[0] for row in MANIPULATIONS])  # fmt: skip
def test_a_manipulation_fails_the_claim_that_it_is_of(run, honest, deed, claim):
    deed(run)

    found = check_run(run)

    assert not honest.failed
    assert any(one.text.startswith(claim) for one in found.failed), list(map(str, found.claims))
    assert all(one.why for one in found.failed)


def test_what_a_run_leaves_besides_and_hidden_files_are_no_strangers(run):
    for name in ("report.html", ".DS_Store", "figures/dice.svg", "sites/NORTH/kept"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        put(run / name, b"x")

    assert not check_run(run).failed


def test_a_stranger_in_a_run_that_still_goes_on_is_named(run):
    for name in ("summary.json", "closing.json"):
        (run / name).unlink()
    put(run / "summary-final.json", b"{}")

    (told,) = check_run(run).failed

    assert "summary-final.json is no part of the run: it was added. Move it" in told.why


def test_a_record_that_holds_something_else_is_no_runs(run):
    in_json("run.json", lambda v: v.update(sites=[3]))(run)

    with pytest.raises(RunFolderError, match=r"run\.json is damaged \(sites\.0"):
        check_run(run)


COMPARE_THE_HEAD = [
    ("all scores forged to 0.99 with their counts, everything closed anew",
     both(FORGED_SCORES, in_json("samples/samples.json", lambda v: v[0].update(dice=0.99)),
          in_json("arms/cwt-0/validation.json", last_row), closed_anew)),
    ("another machine stated in every receipt, everything closed anew",
     both(receipt(1, machine="another"), receipt(2, machine="another"),
          *(receipt(number, machine="another") for number in range(3, 7)),
          closed_anew)),
]  # fmt: skip


@pytest.mark.parametrize("deed", [row[1] for row in COMPARE_THE_HEAD],
                         ids=[row[0] for row in COMPARE_THE_HEAD])  # fmt: skip
def test_what_is_written_anew_as_a_whole_shows_in_the_heads_alone(run, honest, deed):
    deed(run)

    found = check_run(run)

    assert not found.failed, list(map(str, found.failed))
    assert found.heads["cwt-0"] != honest.heads["cwt-0"] and found.head != honest.head
    assert any("compare the heads" in claim.why for claim in found.claims)


@pytest.mark.parametrize("label", ["\x1b[2K", "a\nb: checked", "\ud800", "x" * 9999, "\0", ""])
def test_a_name_from_outside_forges_no_line(run, capsys, label):
    """A terminal's commands, a line of its own, half a letter, names that are too long."""
    put_json(run / "run.json", lambda values: values.update(arms=[label, "cwt-0"]))

    assert run_app(["ledger", "verify", str(run)]) == 2

    told = capsys.readouterr()
    assert "\x1b" not in told.out and "\nb: checked" not in told.out
    assert "Traceback" not in told.err


def test_what_would_never_end_to_be_read_is_not_begun(run, capsys):
    (run / "summary.json").unlink()
    os.mkfifo(run / "summary.json")

    assert run_app(["ledger", "verify", str(run)]) == 2
    assert "neither a file nor a folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../secret.png", "/dev/zero", "..", "link.png", "gone.png"])
def test_a_picture_from_elsewhere_is_neither_shown_nor_checked(run, capsys, name):
    (run / "secret.png").write_text("secret")
    (run / "samples" / "link.png").symlink_to(run / "secret.png")
    put_json(run / "samples" / "samples.json", lambda v: v[0].update(file=name))
    close_anew(run)

    assert run_app(["report", str(run)]) == 2
    assert "samples" in capsys.readouterr().err
    assert not (run / "report.html").exists()
    assert run_app(["ledger", "verify", str(run)]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        without("sites", 0, "patients", "train"),
        without("sites", 0, "slices", "test"),
        lambda v: v.update(machine=[]),
        lambda v: v.update(network={"seal": None}),
        lambda v: v.update(torch=None),
    ],
)
def test_a_page_of_a_record_with_other_values_is_refused(run, capsys, change):
    put_json(run / "run.json", change)

    assert run_app(["report", str(run)]) == 2
    assert "run.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["torch", "python", "roundelay", "machine", "threads", "cohort"])
def test_a_page_of_a_record_that_lacks_what_older_ones_lacked_is_drawn(run, key):
    put_json(run / "run.json", without(key))

    assert run_app(["report", str(run)]) in (0, 2)
    assert (run / "report.html").exists()


def test_a_record_that_nests_without_an_end_is_none(run, capsys):
    put(run / "run.json", "[" * 10**5)

    assert run_app(["ledger", "verify", str(run)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_without_its_record_is_no_run(run, capsys):
    (run / "run.json").unlink()

    assert run_app(["ledger", "verify", str(run)]) == 2
    assert "is not a run of Roundelay" in capsys.readouterr().err


def test_every_claim_is_told_although_others_failed_and_the_exit_code_is_two(run, capsys):
    FORGED_SCORES(run)
    (cwt(run) / "curve.csv").unlink()

    assert run_app(["ledger", "verify", str(run)]) == 2

    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert sum(": failed: " in line for line in lines) >= 3
    assert sum(line.endswith(": checked") for line in lines) > 20
    assert "claims failed" in told.err and "Traceback" not in told.err


def test_as_data_it_says_the_same(run, capsys):
    (run / "closing.json").unlink()

    assert run_app(["ledger", "verify", str(run), "--json"]) == 2

    found = json.loads(capsys.readouterr().out)
    failed = [claim for claim in found["claims"] if claim["outcome"] == "failed"]
    assert found["verified"] is False and len(failed) == 1
    assert failed[0]["text"].startswith(CLOSING)
    assert set(found["heads"]) == {"cwt-0", "fedavg-0"}

"""`--more-rounds`: on from a finished run's models; both ledgers hold, and the chain over them."""

import hashlib
import json

import pytest

from fakes import scored_surveys
from roundelay.cli.app import run_app
from roundelay.data.survey import VALIDATION
from roundelay.errors import DataError, NetworkError, RunFolderError, StudyError
from roundelay.files.reading import parse_json
from roundelay.network.wire.proposal import refuse_unfit_study
from roundelay.records.contents import read_run
from roundelay.records.going_on import finished_run, study_of_more
from roundelay.records.verification import check_run
from roundelay.report.page import lay_page
from roundelay.site.opening import LocalSite
from roundelay.site.work import _seed_of
from toy_runs import PLAN, Toy, copied, put_json, rewrite_end, run_toy

pytestmark = pytest.mark.usefixtures("few_resamples")

BEFORE = "its first weights are the models of the run that it goes on from"
FIRST = "all arms of a seed began"


def go_on(before, out, rounds=1, **settings):
    found = finished_run(before)
    return run_toy(out, study_of_more(found, rounds), going_on=found, **settings)


@pytest.fixture(scope="module")
def both(toy_run, module_path):
    kept = {p: p.read_bytes() for p in toy_run.rglob("*") if p.is_file()}
    go_on(toy_run, module_path / "MORE")
    assert kept == {p: p.read_bytes() for p in toy_run.rglob("*") if p.is_file()}
    return toy_run, module_path / "MORE"


@pytest.fixture
def runs(both, tmp_path):
    return tuple(copied(run, tmp_path / run.name) for run in both)


def weight(run, label):
    import safetensors.numpy

    return float(safetensors.numpy.load_file(run / "arms" / label / "model.safetensors")["w"][0])


def test_the_models_go_on_from_where_they_were(both):
    before, more = both

    # A round of the relay adds 1 + 10 + 100, one of fedavg the mean of 1, 10, 100 by slices.
    assert (weight(before, "cwt-0"), weight(more, "cwt-0")) == (222, 333)
    mean = (30 * 1 + 12 * 10 + 8 * 100) / 50
    assert weight(more, "fedavg-0") == pytest.approx(3 * mean)
    assert json.loads((more / "run.json").read_text())["goes_on_from"]["folder"] == before.name


def test_verify_proves_the_chain_over_both(both):
    before, more = both

    alone, together = check_run(more), check_run(more, before=before)

    assert not alone.failed and not together.failed
    assert outcome(alone) == "unchecked" and outcome(together) == "checked"
    assert "--from THAT_RUN" in next(c.why for c in alone.claims if c.text == BEFORE)
    assert BEFORE not in [claim.text for claim in check_run(before).claims]


def outcome(found):
    return next(claim.outcome for claim in found.claims if claim.text == BEFORE)


def test_another_run_is_not_the_one_that_it_goes_on_from(both, tmp_path):
    run_toy(tmp_path / "OTHER", PLAN.model_copy(update={"name": "other"}))

    found = check_run(both[1], before=tmp_path / "OTHER")

    assert [claim.text for claim in found.failed] == [BEFORE]
    assert [c.text for c in check_run(both[0], before=both[0]).failed] == [BEFORE]


def test_a_run_before_that_was_changed_is_found(runs):
    before, more = runs
    put_json(before / "arms" / "cwt-0" / "scores.json", lambda v: v["scores"].reverse())

    assert [claim.text for claim in check_run(more, before=before).failed] == [BEFORE]


def test_other_first_weights_than_the_models_are_found(runs):
    before, more = runs
    other = hashlib.sha256(b"other").hexdigest()

    def change(values):
        values["goes_on_from"]["arms"]["cwt-0"]["start"] = other

    put_json(more / "run.json", change)
    rewrite_end(more)

    failed = [claim.text for claim in check_run(more, before=before).failed]
    assert [text for text in failed if text.startswith(FIRST)] and BEFORE in failed


def test_a_run_that_goes_on_by_another_study_is_found(both, tmp_path):
    """By another recipe, or another split, in which patients who trained may test."""
    found = finished_run(both[0])
    plan = study_of_more(found, 1)
    recipe = plan.recipe.model_copy(update={"learning_rate": 0.1})
    run_toy(tmp_path / "MORE", plan.model_copy(update={"recipe": recipe}), going_on=found)

    (claim,) = check_run(tmp_path / "MORE", before=both[0]).failed
    assert "by another study" in claim.why


def test_a_place_that_is_no_run_says_nothing_against_the_run(both, tmp_path):
    with pytest.raises(RunFolderError, match="nowhere is not a run"):
        check_run(both[1], before=tmp_path / "nowhere")


def test_a_record_that_lost_what_it_goes_on_from_is_found(runs):
    put_json(runs[1] / "run.json", lambda values: values.pop("goes_on_from") and None)
    rewrite_end(runs[1])

    assert any(claim.text.startswith(FIRST) for claim in check_run(runs[1]).failed)


def test_a_killed_run_goes_on_to_the_same_bytes(both, tmp_path):
    class Dies(Toy):
        def evaluate(self, baton, sites, scoring):
            if scoring.split == VALIDATION and scoring.arm == "fedavg-0":
                raise KeyboardInterrupt
            return super().evaluate(baton, sites, scoring)

    with pytest.raises(KeyboardInterrupt):
        go_on(both[0], tmp_path / "MORE", courier=Dies)
    go_on(both[0], tmp_path / "MORE", resume=True)

    for label in ("cwt-0", "fedavg-0"):
        ledger = f"arms/{label}/ledger.jsonl"
        assert (tmp_path / "MORE" / ledger).read_bytes() == (both[1] / ledger).read_bytes()


def test_more_rounds_upon_more_rounds(both, tmp_path):
    go_on(both[1], tmp_path / "THIRD", rounds=2)

    assert weight(tmp_path / "THIRD", "cwt-0") == 333 + 222
    assert outcome(check_run(tmp_path / "THIRD", before=both[1])) == "checked"


def test_the_page_says_what_it_goes_on_from(both):
    page = lay_page(read_run(both[1]))

    head = check_run(both[0]).head
    assert any(f"the run {both[0].name} (head {head[:12]}) after its 2 rounds" in s and
               "with 1 round of a schedule of their own" in s for s in page.answer)  # fmt: skip


def test_it_is_another_study_and_draws_otherwise(both):
    then, now = (read_run(run).study for run in both)
    stop = read_run(both[0]).arms[0].legs[0].stops[0]

    def seed(plan):
        return _seed_of(LocalSite("NORTH", plan, (), None, None, None), stop)

    assert now.recipe.rounds == 1 and now.digest != then.digest
    assert now.digest != then.model_copy(update={"recipe": now.recipe}).digest
    assert seed(then) == seed(PLAN) != seed(now)


def test_other_patients_are_refused(both, tmp_path):
    class Others(Toy):
        def survey(self):
            return scored_surveys(validation=2, sizes={"NORTH": 30, "EAST": 12, "SOUTH": 9})

    with pytest.raises(DataError, match="patients, images or splits are others"):
        go_on(both[0], tmp_path / "MORE", courier=Others)

    assert not (tmp_path / "MORE").exists()


def test_what_can_t_be_gone_on_with_is_refused(both, runs, tmp_path):
    (runs[0] / "closing.json").unlink()
    with pytest.raises(RunFolderError, match="isn't finished"):
        finished_run(runs[0])
    with pytest.raises(RunFolderError, match="is not a run of Roundelay"):
        finished_run(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match="holds several runs"):
        finished_run(runs[0].parent)
    with pytest.raises(StudyError, match="from 1 to 10,000"):
        study_of_more(finished_run(both[0]), 0)
    swt = PLAN.model_copy(update={"arms": ("swt",)})
    run_toy(tmp_path / "SWT", swt)
    with pytest.raises(RunFolderError, match="every hospital once"):
        finished_run(tmp_path / "SWT")


def test_the_study_alone_says_which_run_it_needs(both, tmp_path):
    more = read_run(both[1]).study

    with pytest.raises(StudyError, match="roundelay run RUN --more-rounds 1 --out OUT"):
        run_toy(tmp_path / "X", more)
    with pytest.raises(NetworkError, match="which hospitals don't have"):
        refuse_unfit_study(more)


def test_from_the_command_line_a_run_that_doesn_t_verify_is_refused(runs, tmp_path, capsys):
    put_json(runs[0] / "arms" / "cwt-0" / "scores.json", lambda v: v["scores"].reverse())

    code = run_app(["run", str(runs[0]), "--more-rounds", "2", "--out", str(tmp_path / "M")])

    assert code != 0 and not (tmp_path / "M").exists()
    assert "was altered" in capsys.readouterr().err


def test_verify_takes_the_run_before_on_the_command_line(both, capsys):
    assert run_app(["ledger", "verify", str(both[1]), "--from", str(both[0]), "--json"]) == 0
    assert parse_json(capsys.readouterr().out.encode())["verified"] is True


def test_a_wrong_run_before_says_nothing_against_the_run(both, tmp_path, capsys):
    """Another run, one that can't be gone on from, and a predecessor for a run that has none."""
    run_toy(tmp_path / "OTHER", PLAN.model_copy(update={"name": "other"}))
    (unfinished := copied(both[0], tmp_path / "UNFINISHED")).joinpath("closing.json").unlink()
    (unfinished / "summary.json").unlink()

    for run, other in (
        (both[1], tmp_path / "OTHER"),
        (both[1], unfinished),
        (both[0], tmp_path / "OTHER"),
    ):
        assert run_app(["ledger", "verify", str(run), "--from", str(other)]) == 2
        said = capsys.readouterr().err
        assert f"{run} doesn't go on from {other}" in said
        assert "is not what it was" not in said and "Error" not in said
    assert run_app(["ledger", "verify", str(both[1]), "--from", str(tmp_path)]) == 2
    assert f"{tmp_path} is not a run" in capsys.readouterr().err

"""Between hospitals: the same bytes as on one machine, and nobody in the middle can read them."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
import torch

from hospitals import Network, by_site
from roundelay.errors import (
    DiskFullError,
    LedgerError,
    NetworkError,
    RefusedError,
    RunFolderError,
    SiteAbsentError,
)
from roundelay.network.coordinator import surveys, turns
from roundelay.network.hospital.request_handler import answer
from roundelay.network.wire.messages import unpack
from roundelay.phantom.cohort import make_toy
from roundelay.plan.progress import Step, Waiting
from roundelay.records.arm_checks import check_who_was_away
from roundelay.records.layout import read_record
from roundelay.records.signatures import check_signatures
from roundelay.records.verification import check_run, verify_run
from roundelay.relay import ledger
from roundelay.relay.baton import Baton
from roundelay.relay.chain import read_chain
from roundelay.relay.ledger import read_ledger
from roundelay.running.run import run_study
from surveys import study
from toy_runs import copied, put_json, reclose, rewrite_end, verify_arm

PATIENTS = {"NORTH": 8, "EAST": 3, "WEST": 3}


@pytest.fixture(scope="module")
def data(module_path):
    return make_toy(module_path / "data", seed=0, patients=PATIENTS, slices=4, size=64)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(surveys, "AGAIN", 0.0)
    monkeypatch.setattr(turns, "LOOK_AGAIN", 0.005)
    with one_thread():
        yield


@contextmanager
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy(data, top=None, evaluation=None, recipe=None, **courier):
    return study(
        top={"arms": ("swt", "cwt"), **(top or {})},
        data={"root": str(data), "size": 32, "split": {"validation": 0.25, "test": 0.25}},
        model={"encoder": "resnet18_quarter"},
        recipe={
            "rounds": 2, "steps": 1, "batch": 2, "deterministic": True, "order": "shuffled",
            **(recipe or {}),
        },
        evaluation={"samples": False, **(evaluation or {})},
        courier={"threads": 1, **courier},
    )  # fmt: skip


def network(place, data):
    return Network(place, data, by_site(data))


def approving(net, plan):
    """Every operator approves when asked."""

    def on_event(event):
        if isinstance(event, Waiting) and "approve" in event.why:
            net.approve(event.site, plan)

    return on_event


def batons(run):
    return {
        place.name: [line["baton"] for line in read_ledger(place / "ledger.jsonl")[1:]]
        for place in sorted((run / "arms").iterdir())
    }


@pytest.fixture(scope="module")
def expected(data, module_path):
    """The run on one machine."""
    with one_thread():
        out = module_path / "RUN"
        summary = run_study(toy(data), out).as_json()
    return out, summary


@pytest.fixture(scope="module")
def patterns(expected):
    """Bytes of a large layer of every baton of the run on one machine."""
    found = []
    for path in sorted(expected[0].rglob("batons/*.safetensors")):
        array = Baton(path.read_bytes()).arrays()["model/encoder.layer4.0.conv1.weight"]
        found.append(np.ascontiguousarray(array).tobytes()[:64])
    assert found
    return found


@pytest.fixture(scope="module")
def sealed(data, patterns, module_path):
    """The same study between hospitals; what crossed the wire is searched as it passes."""
    place = module_path / "sealed"
    net, plan = network(place, data), toy(data)
    seen = {"weights": 0, "train": None}

    def watch(direction, request, message):
        seen["weights"] += any(p in message.payload for p in patterns)
        if direction == "request" and b'"ask":"train"' in message.head:
            seen["train"] = (request.site, message)
        return message

    net.wire.tamper = watch
    with one_thread():
        summary = net.run(plan, place / "RUN", on_event=approving(net, plan)).as_json()
    return SimpleNamespace(net=net, out=place / "RUN", summary=summary, seen=seen)


def test_the_same_study_gives_the_same_batons_and_the_same_scores(expected, sealed):
    here, on_one_machine = expected
    assert batons(sealed.out) == batons(here)
    for ours, theirs in zip(sealed.summary["arms"], on_one_machine["arms"], strict=True):
        for key in ("dice_mean", "pooled_dice", "hd95_mean", "slice_dice", "positive_slice_dice"):
            assert ours["test"][key] == pytest.approx(theirs["test"][key], abs=1e-12)
        for site, values in theirs["test"]["by_site"].items():
            assert ours["test"]["by_site"][site]["mean"] == pytest.approx(values["mean"], abs=1e-12)
            assert ours["test"]["by_site"][site]["patients"] == values["patients"]
    page, open_page = (run / "report.html" for run in (sealed.out, here))
    assert "nothing by patient" in page.read_text()
    assert "Neither the network&#39;s server nor the coordinator" in page.read_text()
    assert "the coordinator of this run holds every model in the clear" in open_page.read_text()


def held(run, patterns):
    """How many files of a run hold weights that can be read."""
    files = [p.read_bytes() for p in run.rglob("*") if p.is_file()]
    return sum(any(pattern in data for pattern in patterns) for data in files)


def test_whoever_carries_a_sealed_baton_finds_no_weights(expected, sealed, patterns):
    assert held(expected[0], patterns) > 0  # the search finds what lies open
    assert held(sealed.out, patterns) == 0
    assert sealed.seen["weights"] == 0


def test_the_hospitals_keep_the_model_that_the_coordinator_cannot_read(expected, sealed):
    assert (sealed.out / "arms" / "cwt-0" / "model.sealed").exists()
    ours = (expected[0] / "arms" / "cwt-0" / "model.safetensors").read_bytes()
    for home in sealed.net.homes.values():
        assert ours in [p.read_bytes() for p in (home / "models").iterdir()]


def test_all_that_was_run_between_hospitals_verifies(expected, sealed):
    found = verify_run(sealed.out)

    model = {c.text: c.outcome for c in found.claims if c.about == "cwt-0" and "model" in c.text}
    rows = {run: {c.why for c in one_row_claims(run)} for run in (sealed.out, expected[0])}
    assert rows == {
        sealed.out: {"NORTH gave one row for all, its patients' stay there"},
        expected[0]: set(),
    }
    assert model["the model is the one of that hand-over"] == "checked"
    assert found.signed_receipts == sum(map(len, batons(sealed.out).values()))
    assert verify_run(expected[0]).signed_receipts == 0


def one_row_claims(run):
    return [c for c in check_run(run).claims if "gave one row" in c.text]


def test_scores_of_a_hospital_that_were_taken_out_are_said_to_be_unproven(sealed, tmp_path):
    out = copied(sealed.out, tmp_path / "RUN")
    for place in (out / "arms").iterdir():
        put_json(place / "scores.json", lambda v: v.update(scores=without_east(v["scores"])))
        reclose(place)
    rewrite_end(out)

    found = {claim.text: claim for claim in verify_run(out).claims if claim.outcome == "unchecked"}

    told = next(claim.why for text, claim in found.items() if text.startswith("every patient is"))
    assert "test patients of EAST have no scores: whether it gave none, or they were taken" in told
    assert (
        "in its kit" in found["the scores are those that the hospitals gave, and all of them"].why
    )


def without_east(scores):
    return [score for score in scores if score["site"] != "EAST"]


def test_a_visit_is_made_once_however_often_it_is_asked_for(sealed):
    site, request = sealed.seen["train"]
    home = sealed.net.homes[site]
    before = (home / "audit.jsonl").read_text().count("\n")
    again = [answer(home, request, lambda _: pytest.fail("it trained again")) for _ in range(2)]
    assert again[0] == again[1]
    receipt = unpack(again[0]).head["proof"]["statement"]["receipt"]
    lines = read_ledger(sealed.out / "arms" / "cwt-0" / "ledger.jsonl")
    assert lines[-1]["receipts"] == [receipt]
    assert (home / "audit.jsonl").read_text().count("\n") == before + 2


def test_without_a_seal_weights_are_found_by_the_same_search(data, expected, patterns, tmp_path):
    plan = toy(data, top={"arms": ("swt",)}, seal="none")
    net = network(tmp_path, data)
    seen = []

    def watch(direction, request, message):
        seen.append(any(p in message.payload for p in patterns))
        return message

    net.wire.tamper = watch
    net.run(plan, tmp_path / "RUN", on_event=approving(net, plan))
    assert any(seen)
    assert held(tmp_path / "RUN", patterns) > 0
    assert batons(tmp_path / "RUN")["swt-0"] == batons(expected[0])["swt-0"]


def test_only_the_study_that_says_so_gives_its_owner_the_model(data, expected, tmp_path):
    plan = toy(data, top={"arms": ("swt",)}, seal="owner")
    net = network(tmp_path, data)
    out = tmp_path / "RUN"
    net.run(plan, out, on_event=approving(net, plan))

    with safetensors.safe_open(out / "arms/swt-0/model.safetensors", "numpy") as ours:
        theirs = safetensors.numpy.load_file(expected[0] / "arms/swt-0/model.safetensors")
        assert set(ours.keys()) == set(theirs)
        assert all((ours.get_tensor(name) == theirs[name]).all() for name in theirs)
    assert not list(out.rglob("model.sealed"))


def test_a_stopped_coordinator_goes_on_to_the_same_bytes(data, expected, tmp_path):
    net, plan = network(tmp_path, data), toy(data, top={"arms": ("swt",)})
    out = tmp_path / "RUN"
    approve = approving(net, plan)
    seen = []

    def stop_at(count):
        def tamper(direction, request, data):
            seen.append(direction)
            if len(seen) == count:
                raise KeyboardInterrupt
            return data

        return tamper

    resume = False
    for count in (19, 38, 56):  # before a visit, after one, while scores are asked for
        net.wire.tamper = stop_at(count)
        with pytest.raises(KeyboardInterrupt):
            net.run(plan, out, on_event=approve, resume=resume)
        resume = (out / "run.json").exists()
    net.wire.tamper = lambda *seen: seen[-1]
    net.run(plan, out, on_event=approve, resume=resume)

    assert batons(out)["swt-0"] == batons(expected[0])["swt-0"]


@pytest.mark.parametrize("room", [0, 3, 6])
def test_a_full_disk_at_the_coordinator_loses_nothing(data, expected, tmp_path, monkeypatch, room):
    """A visit that was made but could not be noted down is answered again, not made again."""
    net, plan = network(tmp_path, data), toy(data, top={"arms": ("swt",)})
    approve, out, written, real = approving(net, plan), tmp_path / "RUN", [], ledger.write_bytes

    def write(path, content):
        written.append(path)
        if len(written) > room:
            raise DiskFullError(f"The disk is full: {path} was not written. Go on with --resume.")
        real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "write_bytes", write)
        with pytest.raises(DiskFullError):
            net.run(plan, out, on_event=approve)
    net.run(plan, out, on_event=approve, resume=True)

    assert batons(out)["swt-0"] == batons(expected[0])["swt-0"]


def test_a_site_that_is_absent_is_skipped_where_the_study_says_so(data, tmp_path):
    net, plan = network(tmp_path, data), toy(data, absent="skip", top={"arms": ("swt",)})
    away = {"count": 0}

    def tamper(direction, request, message):
        if direction == "request" and b'"ask":"train"' in message.head and request.site == "EAST":
            away["count"] += 1
            if away["count"] == 1:
                raise SiteAbsentError(request.site, request.about, 3.0)
        return message

    net.wire.tamper = tamper
    out = tmp_path / "RUN"
    events = []
    approve = approving(net, plan)
    net.run(plan, out, on_event=lambda e: (events.append(e), approve(e)))

    receipts = [
        r
        for line in read_ledger(out / "arms" / "swt-0" / "ledger.jsonl")[1:]
        for r in line["receipts"]
    ]
    absent = [r for r in receipts if r["task"] == "absent"]
    assert [(r["site"], r["slice_visits"]) for r in absent] == [("EAST", 0)]
    assert absent[0]["received"] == absent[0]["returned"]
    assert len(receipts) == 3
    assert any(isinstance(e, Waiting) and "skipped" in e.why for e in events)
    # The coordinator signed for the site that wasn't there: that is no hospital's word.
    assert verify_run(out).signed_receipts == 2
    assert_allowed_by_one_rule(out, "skip")


def assert_allowed_by_one_rule(out, allowed):
    """Else a coordinator could strike out the last hospital's visit and sign that it was away."""
    path = out / "arms" / "swt-0" / "ledger.jsonl"
    for rule in {"wait", "skip", "defer"} - {allowed}:
        with pytest.raises(LedgerError, match="away and passed over; the study does not allow"):
            check_who_was_away(path, read_chain(path), rule, abreast=False)
    check_who_was_away(path, read_chain(path), allowed, abreast=False)
    with pytest.raises(LedgerError, match="away and passed over"):
        check_who_was_away(path, read_chain(path), allowed, abreast=True)


def test_a_site_that_is_away_is_put_off_to_later_in_its_round(data, tmp_path):
    net = network(tmp_path, data)
    plan = toy(
        data, top={"arms": ("cwt",)}, recipe={"order": "given"}, absent="defer", defer_after=0.01
    )
    approve, events, out = approving(net, plan), [], tmp_path / "RUN"
    asked = []

    def tamper(direction, request, message):
        """EAST, first by name, goes away before round 1 and is back after NORTH's visit."""
        if direction == "request" and b'"ask":"train"' in message.head:
            asked.append(request.site)
        net.wire.away = {"EAST"} if not asked else set()
        return message

    net.wire.tamper = tamper
    net.run(plan, out, on_event=lambda e: (events.append(e), approve(e)))

    assert asked == ["NORTH", "EAST", "WEST", "EAST", "NORTH", "WEST"]
    place = out / "arms" / "cwt-0"
    lines = read_ledger(place / "ledger.jsonl")[1:]
    assert [line["leg"] for line in lines] == [1, 0, 2, 3, 4, 5]
    word = lines[0]["proofs"][0]["deferred"][0]
    assert word["signer"] == "coordinator" and word["statement"]["receipt"]["task"] == "deferred"
    assert (word["statement"]["receipt"]["site"], word["statement"]["leg"]) == ("EAST", 0)
    assert any(isinstance(e, Waiting) and "put off" in e.why for e in events)
    assert verify_arm(out, "cwt-0") == read_chain(place / "ledger.jsonl").head
    assert verify_run(out).signed_receipts == 6
    assert "put off to later in the round" in (out / "report.html").read_text()


def test_a_coordinator_killed_after_putting_a_site_off_asks_for_the_same_visit(data, tmp_path):
    """NORTH made its visit in EAST's place, unheard of; EAST is back when the run goes on."""
    net = network(tmp_path, data)
    plan = toy(
        data, top={"arms": ("swt",)}, recipe={"order": "given"}, absent="defer", defer_after=0.01
    )
    net.wire.away, out, approve = {"EAST"}, tmp_path / "RUN", approving(net, plan)
    trained = []

    def tamper(direction, request, message):
        if direction == "request" and b'"ask":"train"' in message.head:
            trained.append(request.site)
        if direction == "answer" and trained:
            raise KeyboardInterrupt
        return message

    net.wire.tamper = tamper
    with pytest.raises(KeyboardInterrupt):
        net.run(plan, out, on_event=approve)
    assert trained == ["NORTH"]

    net.wire.away, net.wire.tamper = set(), lambda *seen: seen[-1]
    net.run(plan, out, on_event=approve, resume=True)
    lines = read_ledger(out / "arms" / "swt-0" / "ledger.jsonl")
    assert [line["leg"] for line in lines[1:]] == [1, 0, 2]
    assert check_signatures(read_record(out), "swt-0", lines) == 3


def test_the_word_that_a_site_was_away_can_not_be_forged(data, tmp_path):
    net = network(tmp_path, data)
    plan = toy(
        data, top={"arms": ("swt",)}, recipe={"order": "given"}, absent="defer", defer_after=0.01
    )
    net.wire.away, out = {"EAST"}, tmp_path / "RUN"
    approve = approving(net, plan)

    def come_back(event):
        approve(event)
        if isinstance(event, Step) and event.stop.site == "NORTH":
            net.wire.away = set()

    net.run(plan, out, on_event=come_back)
    lines = read_ledger(out / "arms" / "swt-0" / "ledger.jsonl")

    assert [line["leg"] for line in lines[1:]] == [1, 0, 2]
    assert_allowed_by_one_rule(out, "defer")
    word = lines[1]["proofs"][0]["deferred"][0]
    word["statement"]["receipt"]["seconds"] = 1e6
    with pytest.raises(LedgerError, match="isn't signed by coordinator"):
        check_signatures(read_record(out), "swt-0", lines)


def test_nobody_there_is_not_waited_for_without_an_end(data, tmp_path):
    net = network(tmp_path, data)
    plan = toy(data, absent="defer", defer_after=0.01, patience=2.0)
    net.wire.away = set(net.homes)
    with pytest.raises(SiteAbsentError, match="isn't there") as caught:
        net.run(plan, tmp_path / "RUN", on_event=approving(net, plan))
    assert caught.value.exit_code == 3


def test_a_recalibration_in_turn_under_seal_gives_the_bytes_of_one_side_by_side(data, tmp_path):
    recipe = {
        "recalibrate_batchnorm": True, "recalibration_slices": 7, "optimiser_state": "travel",
        "remember": "si", "wire": "bfloat16",
    }  # fmt: skip
    plan = toy(data, top={"arms": ("swt",)}, recipe=recipe, seal="owner")
    run_study(plan, tmp_path / "HERE")
    net = network(tmp_path / "net", data)
    net.run(plan, tmp_path / "RUN", on_event=approving(net, plan))

    here, sealed = batons(tmp_path / "HERE")["swt-0"], batons(tmp_path / "RUN")["swt-0"]
    assert sealed[:3] == here[:3] and sealed[-1] == here[-1]
    assert (len(here), len(sealed)) == (4, 6)
    assert verify_run(tmp_path / "RUN").signed_receipts == 6


def test_a_site_that_is_absent_stops_the_run_where_the_study_waits(data, tmp_path):
    net, plan = network(tmp_path, data), toy(data)

    def tamper(direction, request, message):
        if direction == "request" and b'"ask":"train"' in message.head:
            raise SiteAbsentError(request.site, request.about, 3.0)
        return message

    net.wire.tamper = tamper
    with pytest.raises(SiteAbsentError, match="isn't there") as caught:
        net.run(plan, tmp_path / "RUN", on_event=approving(net, plan))
    assert caught.value.exit_code == 3


def test_fedavg_runs_between_hospitals_where_nothing_is_sealed(data, tmp_path):
    plan = toy(data, top={"arms": ("fedavg",)}, recipe={"wire": "bfloat16"}, seal="none")
    plan_here = tmp_path / "HERE"
    ran = run_study(plan, plan_here).as_json()["arms"][0]
    assert ran["bytes_passed"] == ran["bytes_planned"]
    net = network(tmp_path / "net", data)
    net.run(plan, tmp_path / "RUN", on_event=approving(net, plan))
    assert batons(tmp_path / "RUN") == batons(plan_here)
    found = {run: verify_run(run) for run in (tmp_path / "RUN", plan_here)}
    assert [one.signed_receipts for one in found.values()] == [6, 0]


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        ({"top": {"arms": ("fedavg",)}}, "averages"),
        ({"top": {"arms": ("pooled",)}}, "one place"),
    ],
)
def test_what_cannot_be_between_hospitals_is_said_before_anything_is_asked(
    data, tmp_path, plan, word
):
    net = network(tmp_path, data)
    with pytest.raises(NetworkError, match=word):
        net.run(toy(data, **plan), tmp_path / "RUN")
    assert net.wire.passed == 0
    assert not (tmp_path / "RUN").exists()


def test_a_site_with_new_keys_is_noticed_when_a_run_is_resumed(data, tmp_path):
    net, plan = network(tmp_path, data), toy(data, top={"arms": ("swt",)})
    out = tmp_path / "RUN"
    approve = approving(net, plan)
    net.run(plan, out, on_event=approve)
    (out / "summary.json").unlink()
    for key in (net.homes["EAST"] / "keys").iterdir():
        key.unlink()
    with pytest.raises(RunFolderError, match="network"):
        net.run(plan, out, on_event=approve, resume=True)
    with pytest.raises(RefusedError, match="isn't signed by EAST"):
        net.run(
            plan, out, on_event=approve, resume=True, roster=read_record(out)["network"]["roster"]
        )


def test_a_hospital_that_never_approves_is_not_waited_for_without_an_end(data, tmp_path):
    net, plan = network(tmp_path, data), toy(data, patience=0.01)
    with pytest.raises(RefusedError, match="site approve"):
        net.run(plan, tmp_path / "RUN")
    assert not (tmp_path / "RUN").exists()
    for home in net.homes.values():
        assert json.loads((home / "audit.jsonl").read_text().splitlines()[-1])["outcome"] == (
            "awaiting"
        )

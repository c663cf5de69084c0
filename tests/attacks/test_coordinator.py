"""A coordinator that goes its own way: another start, arms by turns, late requests, other seals."""

import json
import shutil
import threading
import time

import pytest

from hospitals import Network, by_site
from roundelay.data.survey import SiteSurvey, cohort_digest
from roundelay.network.coordinator import surveys as asking
from roundelay.network.hospital.request_handler import answer
from roundelay.network.hospital.store import POLICY, one_at_a_time
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import pack, unpack
from roundelay.network.wire.proposal import proposal_from_json
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.phantom.cohort import make_toy
from roundelay.plan.progress import Waiting
from roundelay.relay.baton import MODEL, join
from roundelay.running.starting import start_baton
from surveys import study

FEW = "[release]\nleast_scored = 1\n"


class Coordinated:
    """A finished run of two hospitals, and what WEST was asked in it, by kind, split and arm."""

    def __init__(self, place, **sections):
        data = make_toy(place / "data", seed=0, patients={"EAST": 3, "WEST": 3}, slices=4, size=64)
        self.net, self.asked = Network(place, data, by_site(data)), {}
        recipe = {"rounds": 2, "steps": 1, "batch": 2, "deterministic": True}
        split = {"validation": 0.34, "test": 0.34}
        self.plan = study(
            top=sections["top"], data={"root": str(data), "size": 32, "split": split},
            model={"encoder": "resnet18_quarter"}, recipe=recipe,
            evaluation={"samples": False}, courier=sections["courier"],
        )  # fmt: skip
        self.net.wire.tamper = self.watch
        self.net.run(self.plan, place / "RUN", on_event=self.approve)
        self.home, self.owner = self.net.homes["WEST"], own_keys(place / "coordinator")
        (self.home / POLICY).write_text(FEW)

    def watch(self, direction, request, data):
        if direction == "request" and request.site == "WEST":
            head = unpack(data).head
            kind = " ".join([head["ask"], *filter(None, [head.get("split"), head.get("arm")])])
            self.asked.setdefault(kind, data)
        return data

    def approve(self, event):
        if isinstance(event, Waiting) and "approve" in event.why:
            self.net.approve(event.site, self.plan)

    def head(self, kind, **changes):
        head = dict(unpack(self.asked[kind]).head)
        del head["payload"]
        return {**head, **changes}

    def reply(self, head, payload=b""):
        return unpack(answer(self.home, pack(head, payload, self.owner), lambda _: None)).head

    def handed(self, head, model, leg):
        """The same request with a model that the coordinator hands over as leg `leg`'s."""
        proposal = proposal_from_json(head["proposal"])
        surveys = {site: SiteSurvey(**one["survey"]) for site, one in head["surveys"].items()}
        place = {
            "run": "r1", "proposal": proposal.digest, "cohort": cohort_digest(surveys),
            "arm": head["arm"], "leg": leg,
        }  # fmt: skip
        sent = hand_over(model, place, proposal, ["WEST"], "coordinator", self.owner)
        return {**head, "proof": sent.proof}, sent.data


@pytest.fixture(scope="module", autouse=True)
def _at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "AGAIN", 0.0)
        yield


@pytest.fixture(scope="module")
def skipping(module_path):
    courier = {"seal": "sites", "absent": "skip"}
    return Coordinated(module_path / "skip", top={"arms": ("cwt",)}, courier=courier)


@pytest.fixture(scope="module")
def averaging(module_path):
    top = {"arms": ("fedavg",), "seeds": (0, 1)}
    return Coordinated(module_path / "open", top=top, courier={"seal": "none"})


def altered(model, factor):
    """The same shapes, all numbers larger."""
    arrays = model.part(MODEL).items()
    return join(model={n: a * factor if a.dtype.kind == "f" else a for n, a in arrays})


@pytest.mark.parametrize("kind", ["train cwt-0", "evaluate test cwt-0"])
def test_a_model_of_the_coordinators_own_is_no_start(skipping, kind):
    """Where sites may be skipped, any stop may come straight after the start."""
    shutil.rmtree(skipping.home / "runs", ignore_errors=True)
    start = start_baton(skipping.plan, 0)

    refused = skipping.reply(*skipping.handed(skipping.head(kind), altered(start, 1.5), -1))
    taken = skipping.reply(*skipping.handed(skipping.head(kind), start, -1))

    assert "isn't the one that the study begins with" in refused["refused"]
    assert {"proof", "scores"} & taken.keys()


def test_an_arm_does_not_go_on_once_another_one_began(averaging):
    """Else the model that left last would be forgotten in between, and nothing compared with it."""
    shutil.rmtree(averaging.home / "runs", ignore_errors=True)
    (averaging.home / POLICY).write_text(f"[acceptance]\nchange = 0.5\n{FEW}")

    def visit(seed, leg, model):
        head = averaging.head(f"train fedavg-{seed}", leg=leg)
        return averaging.reply(*averaging.handed(head, model, leg - 1))

    starts = [start_baton(averaging.plan, seed) for seed in (0, 1)]
    assert "proof" in visit(0, 0, starts[0])
    assert "acceptance.change" in visit(0, 1, altered(starts[0], 50))["refused"]
    assert "proof" in visit(1, 0, starts[1])
    assert "arms come one after the other" in visit(0, 1, altered(starts[0], 50))["refused"]


def test_a_request_that_waited_is_answered_as_the_policy_is_by_then(skipping):
    home, request = skipping.home, skipping.asked["evaluate test cwt-0"]
    shutil.rmtree(home / "runs", ignore_errors=True)
    (home / POLICY).write_text(FEW)
    replies = []

    def ask():
        replies.append(unpack(answer(home, request, lambda _: None)).head)

    with one_at_a_time(home):  # a visit goes on
        waiting = threading.Thread(target=ask)
        waiting.start()
        while not (home / "runs" / "r1" / "pinned.json").exists():
            time.sleep(0.01)
        (home / POLICY).write_text('[accept]\ntasks = ["train"]\n')
    waiting.join(60)

    assert "accept.tasks" in replies[0]["refused"]


def test_an_approval_that_was_taken_back_holds_for_who_waits(skipping):
    home, request = skipping.home, skipping.asked["evaluate test cwt-0"]
    shutil.rmtree(home / "runs", ignore_errors=True)
    (home / POLICY).write_text(FEW)
    replies, kept = [], {p: p.read_bytes() for p in (home / "approved").iterdir()}

    with one_at_a_time(home):
        waiting = threading.Thread(
            target=lambda: replies.append(unpack(answer(home, request, lambda _: None)).head)
        )
        waiting.start()
        while not (home / "runs" / "r1" / "pinned.json").exists():
            time.sleep(0.01)
        for path in kept:
            path.unlink()
    waiting.join(60)
    for path, data in kept.items():
        path.write_bytes(data)

    assert "waits for this hospital's approval" in replies[0]["awaiting"]


def test_other_seals_and_keys_make_no_other_study_of_one(averaging):
    """A policy that lists a study allows as many runs of it as it says, whatever stands beside."""
    home = averaging.home
    listed = json.dumps([averaging.plan.digest])
    (home / POLICY).write_text(f"[accept]\nstudies = {listed}\nruns = 2\n{FEW}")
    for path in (home / "approved").iterdir():
        path.unlink()
    proposal = averaging.head("survey")["proposal"]
    rosters = [
        {**proposal["roster"], f"PHANTOM{n}": own_keys(home / f"phantom{n}").public()}
        for n in range(2)
    ]
    others = [proposal, {**proposal, "absent": "defer"}]
    others += [{**proposal, "roster": roster} for roster in rosters]

    found = [
        averaging.reply(averaging.head("survey", run=f"x{number}", proposal=other))
        for number, other in enumerate(others)
    ]

    assert ["survey" in one for one in found] == [True, True, False, False]
    assert all("approval" in one["awaiting"] for one in found[2:])

"""A hospital's request handler: a study's settings hold while it answers; questions don't wait."""

from types import SimpleNamespace

import pytest
import torch

from roundelay.files.locks import take_lock
from roundelay.network.hospital import answers, request_handler
from roundelay.network.hospital.request_handler import answer
from roundelay.network.hospital.store import LOCK, Settings, write_settings
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import Answer, pack, unpack
from surveys import study

SURVEY = {"ask": "survey", "site": "NORTH", "run": "r1", "proposal": {}}


@pytest.fixture
def home(tmp_path):
    write_settings(tmp_path, Settings("NORTH", "somewhere", "lgg"))
    return tmp_path


def said(home, head):
    return unpack(answer(home, pack(head, b"", own_keys(home)), lambda _: None)).head


@pytest.mark.parametrize("fails", [False, True])
def test_deterministic_mode_holds_for_the_answer_alone(fails, home, monkeypatch):
    torch.use_deterministic_algorithms(False)
    within = []

    def survey(*_):
        within.append(torch.are_deterministic_algorithms_enabled())
        return Answer({"counted": 1 // (not fails)})

    plan = study(recipe={"deterministic": True})
    asked = SimpleNamespace(proposal=SimpleNamespace(study=plan))
    monkeypatch.setattr(request_handler, "admit", lambda *_: asked)
    monkeypatch.setattr(answers, "survey", survey)

    assert ("failed" in said(home, SURVEY)) == fails
    assert within == [True]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.timeout(30)
def test_who_it_is_and_what_it_refuses_is_answered_while_a_visit_goes_on(home):
    with take_lock(home / LOCK, wait=False):
        assert said(home, {"ask": "introduce", "site": "NORTH", "time": 0.0})["keys"]
        assert "proposal" not in said(home, SURVEY)
        assert "refused" in said(home, {**SURVEY, "ask": "train"})

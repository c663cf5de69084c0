"""A hospital's request handler: the study's settings hold while it answers, and no longer."""

from types import SimpleNamespace

import pytest
import torch

from roundelay.network.hospital import answers, request_handler
from roundelay.network.hospital.request_handler import answer
from roundelay.network.hospital.store import Settings, write_settings
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import pack, unpack
from surveys import study


@pytest.mark.parametrize("fails", [False, True])
def test_deterministic_mode_holds_for_the_answer_alone(fails, tmp_path, monkeypatch):
    within = []

    def survey(*_):
        within.append(torch.are_deterministic_algorithms_enabled())
        return {"counted": 1 // (not fails)}, b""

    plan = study(recipe={"deterministic": True})
    asked = SimpleNamespace(proposal=SimpleNamespace(study=plan))
    monkeypatch.setattr(request_handler, "admit", lambda *_: asked)
    monkeypatch.setattr(answers, "survey", survey)
    write_settings(tmp_path, Settings("NORTH", "somewhere", "lgg"))

    reply = answer(tmp_path, pack({"ask": "survey"}, b"", own_keys(tmp_path)), lambda _: None)

    assert ("failed" in unpack(reply).head) == fails
    assert within == [True]
    assert not torch.are_deterministic_algorithms_enabled()

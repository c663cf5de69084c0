"""A hospital whose network has few weights and whose training is noted down, not done."""

import gc
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, settings

from attacks.mutations import signed_message
from attacks.situation import West
from roundelay.evaluation.scores import PatientScore
from roundelay.learning import state
from roundelay.network.coordinator import surveys
from roundelay.network.hospital import acceptance, answers
from roundelay.network.hospital.request_handler import answer
from roundelay.network.wire.messages import Parts, unpack
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import Leg
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Visit
from roundelay.relay.receipt import Receipt

SECONDS = 2.0
"""Of a processor, for one message."""

GROWTH = 150 << 20
"""Bytes that a process may be larger after thousands of messages."""

AT_ONCE = 12
"""Messages drawn in one example."""

many, some, few = (
    settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    for examples in (130, 90, 30)
)  # fmt: skip


class Tiny(torch.nn.Module):
    """A network of few weights: what is tried is what comes before any training."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)


def tiny_baton() -> Baton:
    torch.manual_seed(0)
    return Baton.of({f"model/{n}": t.numpy() for n, t in Tiny().state_dict().items()})


def tiny_sums() -> Baton:
    """What an honest hospital gives in a recalibration of that network."""
    totals = {"count": 4.0, "sum": 1.0, "sum_of_squares": 2.0}
    return Baton.of({f"sums/norm.{n}": np.full(2, value) for n, value in totals.items()})


def as_planned(stop: Any, baton: Baton) -> Visit:
    """What an honest hospital states of a stop."""
    receipt = Receipt(
        stop=stop.index, site=stop.site, round=stop.round, task=stop.task, received=baton.digest,
        returned=baton.digest, patients=1, slices=stop.slice_count, slice_visits=stop.slice_visits,
        steps=stop.steps, loss=0.5, seconds=1.0, sent_bytes=1, returned_bytes=1,
        machine="a processor",
    )  # fmt: skip
    return Visit(receipt, baton)


def score(split: str) -> PatientScore:
    return PatientScore(
        patient="WEST 1", site="WEST", split=split, dice=0.5, hd95=1.0, hd95_missing=0, slices=4,
        reference_slices=2, reference_volume=9.0, predicted_volume=9.0, tp=5, fp=4, fn=4,
        slice_dice=0.5, slice_dice_of_empty_prediction=0.5, positive_slice_dice=0.5, unit="pixels",
    )  # fmt: skip


@dataclass
class Fuzzed:
    """`done` is what it trained and scored, `told` how many messages it was told."""

    west: West
    done: list[tuple[str, Any]] = field(default_factory=list)
    told: int = 0
    rows: int = 1

    def legs(self) -> tuple[Leg, ...]:
        west = self.west
        return lay(west.proposal.study, {s: west.survey(s) for s in ("EAST", "WEST")})[0].legs

    def asked(self, kind: str, baton: bytes | None = None) -> tuple[dict[str, Any], bytes]:
        """A request that is answered, with a baton that its last holder signed."""
        west = self.west
        if kind == "introduce":
            return {"ask": "introduce", "site": "WEST", "time": 1.0}, b""
        head = json.loads(json.dumps(west.situation.asked[kind].head))
        del head["payload"]
        if kind == "survey":
            return head, b""
        plain = tiny_baton() if baton is None else Baton(baton)
        leg, by = (0, "EAST") if kind == "train" else (1, "WEST")
        sent = hand_over(plain, west.place(leg), west.proposal, ["WEST"], by, west.keys_of(by))
        return {**head, "proof": sent.proof}, sent.data

    def tell(self, message: Parts) -> dict[str, Any]:
        """The answer to a message; what must hold whatever the message."""
        west, begin = self.west, time.process_time()
        reply = unpack(answer(west.home, message, lambda told: None))
        self.told += 1
        assert time.process_time() - begin < SECONDS
        reply.check(west.keys_of("WEST").public(), "WEST")
        assert "failed" not in reply.head, reply.head
        text = json.dumps(reply.head, ensure_ascii=False)
        assert str(west.home.parent) not in text and len(text) < 50_000
        assert all(map(str.isprintable, (str(reply.head.get(k)) for k in ("refused", "awaiting"))))
        if (west.home / "runs").exists() or len(list((west.home / "pending").glob("*"))) > 5:
            self.tidy()
        return dict(reply.head)

    def tell_signed(self, head: Any, payload: bytes) -> dict[str, Any]:
        return self.tell(signed_message(head, payload, self.west.owner))

    def tidy(self) -> None:
        """As it was before the first request, but for what was approved."""
        for name in ("runs", "pending", "quarantine"):
            shutil.rmtree(self.west.home / name, ignore_errors=True)

    def did_what_was_approved(self) -> None:
        """Each visit that was made is the one that follows from the study."""
        own = self.legs()[1].stops[0]
        allowed = [("train", own), ("evaluate", "validation"), ("evaluate", "test")]
        assert all(one in allowed for one in self.done), self.done
        self.done.clear()


@contextmanager
def fuzzed_hospital(west: West) -> Iterator[Fuzzed]:
    """Its folder, and the folder around it, are looked at in the end, and the process's size."""
    found = Fuzzed(west)

    def train(site: Any, stop: Any, baton: Baton, on_step: Any) -> Visit:
        found.done.append(("train", stop))
        return as_planned(stop, baton)

    def evaluate(site: Any, baton: Baton, split: str) -> list[PatientScore]:
        found.done.append(("evaluate", split))
        return [replace(score(split), patient=f"patient {i}") for i in range(found.rows)]

    own = west.survey("WEST")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "train_here", train)
        patch.setattr(answers, "score_here", evaluate)
        patch.setattr(answers, "survey_here", lambda site: own)
        patch.setattr(
            answers, "_local_site", lambda asked: SimpleNamespace(name="WEST", patients=())
        )
        patch.setattr(answers, "_keep_model", lambda asked, plain: None)
        for room in (acceptance, state):
            patch.setattr(room, "build_network", Tiny)
        patch.setattr("os.fsync", lambda descriptor: None)  # a thousand a second, on a slow disk
        patch.setattr(surveys, "AGAIN", 0.0)
        for kind in ("introduce", "survey", "train", "evaluate validation", "evaluate test"):
            reply = found.tell_signed(*found.asked(kind))
            assert not {"refused", "awaiting"} & reply.keys(), reply
        found.did_what_was_approved()
        before, begin = around(west.home), resident()
        yield found
        found.tidy()
        assert around(west.home) == before
        assert resident() - begin < GROWTH
        lines = (west.home / "audit.jsonl").read_text().splitlines()
        assert max(map(len, lines)) < 4000


def around(home: Path) -> list[str]:
    """All files beside a kit, and within it but for locks."""
    return sorted(str(p.relative_to(home.parent)) for p in home.parent.rglob("*")
                  if not p.name.endswith(".lock"))  # fmt: skip


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)

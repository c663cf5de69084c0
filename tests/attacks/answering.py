"""Two hospitals whose answers are made up of their keys alone; those of WEST can be altered."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from attacks.fuzzed import SECONDS, as_planned, score, tiny_baton, tiny_sums
from attacks.mutations import altered, signed_message
from roundelay.data.survey import SiteSurvey
from roundelay.errors import RoundelayError
from roundelay.network.coordinator.courier import HospitalsCourier
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import Parts, unpack
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.network.wire.statements import sign_survey
from roundelay.network.wire.transport import OnProgress, Request
from roundelay.plan.arms import Arm, lay
from roundelay.plan.progress import Step, Waiting
from roundelay.relay.baton import Baton
from surveys import study, survey

SITES = ("EAST", "WEST")

Head = dict[str, Any]


@dataclass
class Answering:
    """A transport and its courier. `alter` makes WEST's message of head, payload and keys;
    `returned` is the baton that it hands over."""

    place: Path
    top: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=dict)
    seal: str = "sites"
    alter: Callable[..., Parts] | None = None
    rng: Random = field(default_factory=Random)
    events: list[Any] = field(default_factory=list)
    returned: Baton = field(default_factory=tiny_baton)
    told: int = 0

    def __post_init__(self) -> None:
        self.keys = {site: own_keys(self.place / site) for site in SITES}
        plan = study(
            top=self.top, recipe={"batch": 2, "rounds": 1, **self.recipe},
            courier={"seal": self.seal},
        )  # fmt: skip
        self.courier = HospitalsCourier(
            plan, self, SITES, home=self.place / "home", run="r1", on_event=self.events.append
        )
        self.courier.survey()
        self.arm: Arm = lay(plan, {site: self.numbers(site) for site in SITES})[0]

    def numbers(self, site: str) -> SiteSurvey:
        return replace(survey(site, 8), digest="0" * 64, patients={
            "train": 3, "validation": 0, "test": 1})  # fmt: skip

    def exchange(self, requests: Sequence[Request], on_progress: OnProgress) -> list[Parts]:
        return [self.answer(request, on_progress) for request in requests]

    def answer(self, request: Request, on_progress: OnProgress) -> Parts:
        asked = dict(unpack(request.message).head)
        head, payload = getattr(self, asked["ask"])(request.site, asked)
        head |= {"site": request.site, "request": request.key}
        if self.alter is None or request.site != "WEST":
            return signed_message(head, payload, self.keys[request.site])
        self.told += 2
        progress = {"step": 1, "loss": 0.5, "slices_per_second": 2.0}
        on_progress(request, altered(self.rng, progress))
        return self.alter(self.rng, head, payload, self.keys["WEST"])

    def introduce(self, site: str, asked: Head) -> tuple[Head, bytes]:
        said = {"roundelay": "1", "torch": "2", "time": time.time(), "days": 30}
        return {"keys": self.keys[site].public(), **said}, b""

    def survey(self, site: str, asked: Head) -> tuple[Head, bytes]:
        proposal = self.courier._proposal.digest
        return sign_survey(self.numbers(site), "r1", proposal, self.keys[site]), b""

    def train(self, site: str, asked: Head) -> tuple[Head, bytes]:
        stops = self.arm.legs[asked["leg"]].stops
        stop = next(stop for stop in stops if stop.site == site)
        honest = tiny_sums() if stop.task == "recalibrate" else tiny_baton()
        baton = self.returned if site == "WEST" else honest
        receipt = replace(as_planned(stop, baton).receipt, received=tiny_baton().digest, patients=3)
        sent = hand_over(
            baton, self.courier._place(self.arm.label, asked["leg"]), self.courier._proposal,
            SITES, site, self.keys[site], receipt,
        )  # fmt: skip
        return {"proof": sent.proof}, sent.data

    def evaluate(self, site: str, asked: Head) -> tuple[Head, bytes]:
        row = replace(score(asked["split"]), patient=f"{site} 1", site=site, slices=6)
        return {"scores": [asdict(row)]}, b""

    def present(self) -> set[str]:
        return set(SITES)

    def close(self) -> None:
        """Nothing was opened."""

    def taken(self, ask: Callable[[], Any], alter: Callable[..., Parts], rng: Random) -> Any:
        """What the coordinator takes of altered answers; None where it refuses them. What must
        hold, whatever they are."""
        self.alter, self.rng, begin = alter, rng, time.process_time()
        try:
            return ask()
        except RoundelayError as error:
            text = str(error)
            assert text.replace("\n", "").isprintable() and len(text) < 4000, text
            return None
        finally:
            self.alter = None
            assert time.process_time() - begin < SECONDS
            texts = [one.why for one in self.events if isinstance(one, Waiting)]
            assert all(text.isprintable() and len(text) <= 2000 for text in texts)
            assert sum(isinstance(one, Step) for one in self.events) < 1000
            self.events.clear()

"""Between hospitals: every question is a signed message, every baton proves whose hand it left.

The coordinator sends, and checks what comes back; in a sealed study it can't read what it carries.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roundelay.data.survey import SiteSurvey
from roundelay.errors import CourierError, RefusedError, SiteAbsentError
from roundelay.evaluation.scores import PatientScore
from roundelay.network.coordinator.exchange import ask, introduce
from roundelay.network.coordinator.turns import Turn, next_turn
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import Message, pack
from roundelay.network.wire.proposal import Roster, propose, refuse_unfit_study
from roundelay.network.wire.sealed_baton import (
    absence,
    check_proof,
    hand_over,
    opened,
    passed_over,
    state,
)
from roundelay.network.wire.transport import Transport
from roundelay.plan.arms import Arm, lay
from roundelay.plan.itinerary import Leg, Stop, as_json
from roundelay.plan.progress import OnProgress, Step, Waiting
from roundelay.records.signatures import COORDINATOR
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Visit
from roundelay.relay.receipt import Receipt
from roundelay.study.study import Study

AGAIN = 5.0
"""Seconds until a hospital whose operator hasn't approved yet is asked again."""


class HospitalsCourier:
    """A courier over any transport; `run` names the run at the sites, `home` holds the keys."""

    def __init__(
        self, study: Study, transport: Transport, sites: Sequence[str], *, home: Path, run: str,
        on_event: OnProgress, roster: Roster | None = None,
    ) -> None:  # fmt: skip
        """`roster` is that of a run to go on with: its keys aren't asked for again, and a site
        that has others now refuses."""
        refuse_unfit_study(study)
        self._study, self._transport, self._sites = study, transport, sorted(sites)
        self._keys, self._run, self._on_event = own_keys(home), run, on_event
        self._note = home / "turns" / f"{run}.json"
        self._proposal = propose(study, roster or {})
        self._arms: list[Arm] = []
        self._turn: Turn | None = None

    def survey(self) -> Mapping[str, SiteSurvey]:
        """Ask who is there, then for numbers; a hospital that has to approve is waited for."""
        if not self._proposal.roster:
            self._proposal = propose(self._study, self._introduced())
        found: dict[str, SiteSurvey] = {}
        until = time.monotonic() + self._study.courier.patience
        while missing := [site for site in self._sites if site not in found]:
            heads = {site: self._head("survey", site) for site in missing}
            for site, reply in self._ask(heads, {}, "its numbers").items():
                if "awaiting" not in reply.head:
                    found[site] = SiteSurvey(**reply.head["survey"])
                    continue
                self._on_event(Waiting(site, str(reply.head["awaiting"])))
                if time.monotonic() > until:
                    raise RefusedError(f"{site}: {reply.head['awaiting']}")
            if len(found) < len(self._sites):
                time.sleep(AGAIN)
        self._arms = lay(self._study, {site: found[site] for site in self._sites})
        return {site: found[site] for site in self._sites}

    def _introduced(self) -> Roster:
        replies = introduce(self._transport, self._sites, self._keys, self._tell_waiting)
        theirs = {site: dict(reply.head["keys"]) for site, reply in replies.items()}
        return {COORDINATOR: self._keys.public(), **theirs}

    def next_leg(self, legs: Sequence[Leg]) -> Leg:
        """The first, or where the study puts off who is away: the first whose site is there.

        A visit that has begun is waited for: its site may come back with the answer.
        """
        settings = self._study.courier
        if settings.absent != "defer" or len(legs) == 1:
            self._turn = Turn(legs[0])
        else:
            arm, note = self._arm_of(legs[0].stops)[0].label, self._note
            self._turn = next_turn(
                arm, legs, self._turn, self._transport, settings, note, self._on_event
            )
        return self._turn.leg

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        arm, leg = self._arm_of(stops)
        try:
            return self._train(arm, leg, baton)
        except SiteAbsentError as error:
            if self._study.courier.absent != "skip" or leg.task != "train":
                raise
            self._on_event(Waiting(error.site, "isn't there: its stop is skipped"))
            return [self._absence(arm, leg, baton, error.seconds)]

    def evaluate(self, baton: Baton, sites: Sequence[str], split: str) -> list[PatientScore]:
        heads, payloads = {}, {}
        for site in sites:
            sent = baton
            if baton.proof is None or baton.proof["signer"] == COORDINATOR:
                sent = self._owned(baton, self._place("scores", -1), [site])
            proof = self._proof(sent)
            place = {key: proof["statement"][key] for key in ("arm", "leg")}
            heads[site] = self._head(
                "evaluate", site, split=split, signer=proof["signer"], proof=proof, **place
            )
            payloads[site] = sent.data
        replies = self._ask(heads, payloads, f"the scores of its {split} patients")
        return [PatientScore(**s) for site in sites for s in replies[site].head["scores"]]

    def opened(self, baton: Baton) -> Baton:
        if not baton.sealed or self._study.courier.seal != "owner" or baton.proof is None:
            return baton
        statement = baton.proof["statement"]
        place = self._place(statement["arm"], statement["leg"])
        signer = str(baton.proof["signer"])
        return opened(
            baton.data, baton.proof, place, self._proposal, signer, COORDINATOR, self._keys
        )

    def facts(self) -> Mapping[str, Any]:
        return {"network": {"run": self._run, **self._proposal.terms()}}

    def close(self) -> None:
        self._transport.close()

    def _train(self, arm: Arm, leg: Leg, baton: Baton) -> list[Visit]:
        heads, payloads = {}, {}
        for stop in leg.stops:
            sent = baton
            if baton.proof is None or baton.proof["signer"] == COORDINATOR:
                merged = leg.index > 0 and len(arm.legs[leg.index - 1].stops) > 1
                before = self._place(arm.label, leg.index - 1 if merged else -1)
                sent = self._owned(Baton(baton.data), before, [stop.site])
            proof = self._proof(sent)
            heads[stop.site] = self._head(
                "train", stop.site, arm=arm.label, leg=leg.index, legs=as_json(arm.legs),
                proof=proof, before=proof["statement"]["leg"],
            )  # fmt: skip
            payloads[stop.site] = sent.data
        stops = {stop.site: stop for stop in leg.stops}
        replies = self._ask(heads, payloads, f"stop of round {leg.stops[0].round}", stops)
        visits = [self._visit(arm, leg, site, replies[site]) for site in stops]
        return [self._with_deferred(arm, leg, baton, visit) for visit in visits]

    def _visit(self, arm: Arm, leg: Leg, site: str, reply: Message) -> Visit:
        place = self._place(arm.label, leg.index)
        try:
            receipt, proof = Receipt(**reply.head["receipt"]), reply.head["proof"]
        except (KeyError, TypeError) as error:
            raise CourierError(f"{site} answered without a receipt. Nothing was kept.") from error
        statement = check_proof(proof, place, self._proposal, site)
        found = hashlib.sha256(reply.payload).hexdigest()
        stated = statement["sealed"] or statement["returned"]
        if found != stated or statement["receipt"] != json.loads(json.dumps(asdict(receipt))):
            raise RefusedError(f"{site} returned other bytes than it signed. Nothing was kept.")
        return Visit(receipt, Baton(reply.payload, proof))

    def _absence(self, arm: Arm, leg: Leg, baton: Baton, seconds: float) -> Visit:
        """The stop is skipped: the baton goes on as it is, and we sign that it did."""
        receipt = absence(leg.stops[0], "absent", baton, seconds)
        place = self._place(arm.label, leg.index)
        return Visit(receipt, passed_over(baton, place, asdict(receipt), COORDINATOR, self._keys))

    def _with_deferred(self, arm: Arm, leg: Leg, sent: Baton, visit: Visit) -> Visit:
        """The visit, with our signed statement on each stop that it came before."""
        statements = []
        put_off = self._turn.put_off if self._turn else {}
        for other, seconds in put_off.items():
            if other.index < leg.index:
                receipt = absence(other.stops[0], "deferred", sent, seconds)
                place = self._place(arm.label, other.index)
                statements.append(
                    state(place, sent.digest, "", asdict(receipt), COORDINATOR, self._keys)
                )
        if not statements:
            return visit
        proof = {**(visit.baton.proof or {}), "deferred": statements}
        return Visit(visit.receipt, Baton(visit.baton.data, proof))

    def _ask(
        self, heads: Mapping[str, Mapping[str, Any]], payloads: Mapping[str, bytes], about: str,
        stops: Mapping[str, Stop] | None = None,
    ) -> dict[str, Message]:  # fmt: skip
        told, stops = Counter[str](), stops or {}

        def on_message(site: str, message: Mapping[str, Any]) -> None:
            self._tell_waiting(site, message)
            if site in stops and "step" in message:
                self._tell(stops[site], told, message)

        messages = {
            site: pack(head, payloads.get(site, b""), self._keys) for site, head in heads.items()
        }
        return ask(self._transport, messages, self._proposal.roster, about, on_message)

    def _tell_waiting(self, site: str, message: Mapping[str, Any]) -> None:
        if "waits" in message:
            self._on_event(Waiting(site, str(message["waits"])))

    def _tell(self, stop: Stop, told: Counter[str], message: Mapping[str, Any]) -> None:
        """A step each, also for those between two messages of progress."""
        while told[stop.site] < int(message["step"]):
            told[stop.site] += 1
            loss, rate = float(message["loss"]), float(message["slices_per_second"])
            self._on_event(Step(stop, told[stop.site], loss, rate))

    def _owned(self, baton: Baton, place: Mapping[str, Any], to: Sequence[str]) -> Baton:
        """A baton that the coordinator itself made: the start, or a mean."""
        return hand_over(baton, place, self._proposal, to, COORDINATOR, self._keys)

    def _proof(self, baton: Baton) -> dict[str, Any]:
        return {
            key: value
            for key, value in (baton.proof or {}).items()
            if key not in ("absent", "deferred")
        }

    def _place(self, arm: str, leg: int) -> dict[str, Any]:
        return {"run": self._run, "proposal": self._proposal.digest, "arm": arm, "leg": leg}

    def _head(self, kind: str, site: str, **more: Any) -> dict[str, Any]:
        proposal = self._proposal.as_json()
        return {"ask": kind, "site": site, "run": self._run, "proposal": proposal, **more}

    def _arm_of(self, stops: Sequence[Stop]) -> tuple[Arm, Leg]:
        for arm in self._arms:
            for leg in arm.legs:
                if leg.stops == tuple(stops):
                    return arm, leg
        raise CourierError("These stops are in no arm of the study that was surveyed.")

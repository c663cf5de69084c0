"""Between hospitals: every question is a signed message, every baton proves whose hand it left.

The coordinator sends, and checks what comes back; in a sealed study it can't read what it carries.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roundelay.data.survey import SiteSurvey, cohort_digest
from roundelay.errors import CourierError, NetworkError, SiteAbsentError
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.thresholds import PatientDices
from roundelay.network.coordinator.exchange import ask
from roundelay.network.coordinator.scores import taken_scores
from roundelay.network.coordinator.surveys import (
    introduced,
    numbers,
    signed_surveys,
    travelling,
)
from roundelay.network.coordinator.turns import Turn, next_turn
from roundelay.network.coordinator.visits import (
    refuse_unlike_sums,
    skipped_visit,
    taken_visit,
    with_deferred,
)
from roundelay.network.wire.handover import next_sites
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import Message, pack
from roundelay.network.wire.parsing import shown
from roundelay.network.wire.proposal import (
    NO_THRESHOLD,
    Roster,
    propose,
    refuse_too_long,
    refuse_unfit_study,
)
from roundelay.network.wire.replies import (
    progress_of,
)
from roundelay.network.wire.sealed_baton import Place, hand_over, opened, proof_of
from roundelay.network.wire.statements import SignedSurvey, travelling_digest
from roundelay.network.wire.transport import Transport
from roundelay.plan.arms import Arm, lay
from roundelay.plan.itinerary import Leg, Stop
from roundelay.plan.progress import OnProgress, Step, Waiting
from roundelay.records.signatures import COORDINATOR
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Scoring, Visit
from roundelay.study.study import Study


class HospitalsCourier:
    """A courier over any transport; `run` names the run at the sites, `home` holds the keys."""

    def __init__(
        self, study: Study, transport: Transport, sites: Sequence[str], *, home: Path, run: str,
        on_event: OnProgress, roster: Roster | None = None,
    ) -> None:  # fmt: skip
        """`roster` is that of a run to go on with: its keys aren't asked for again, and a site
        that has others now refuses."""
        refuse_unfit_study(study)
        refuse_too_long(study, len(sites))
        self._study, self._transport, self._sites = study, transport, sorted(sites)
        self._keys, self._run, self._on_event = own_keys(home), run, on_event
        self._note = home / "turns" / f"{run}.json"
        self._proposal = propose(study, roster or {})
        self._signed: dict[str, SignedSurvey] = {}
        self._surveys: dict[str, SiteSurvey] = {}
        self._arms: list[Arm] = []
        self._turn: Turn | None = None

    def survey(self) -> Mapping[str, SiteSurvey]:
        """Ask who is there, then for numbers; a hospital that has to approve is waited for."""
        if not self._proposal.roster:
            roster = introduced(self._transport, self._sites, self._keys, self._tell_waiting)
            self._proposal = propose(self._study, roster)

        def ask_for_numbers(sites: Sequence[str]) -> Mapping[str, Message]:
            return self._ask({site: self._head("survey", site) for site in sites}, "its numbers")

        self._signed = signed_surveys(
            ask_for_numbers, self._sites, self._run, self._proposal, self._study.courier.patience,
            self._on_event,
        )  # fmt: skip
        self._surveys = numbers(self._signed)
        self._arms = lay(self._study, self._surveys, sealed=self._proposal.sealed)
        return self._surveys

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
            place = self._place(arm.label, leg.index)
            return [skipped_visit(leg.stops[0], baton, error.seconds, place, self._keys)]

    def evaluate(self, baton: Baton, sites: Sequence[str], scoring: Scoring) -> list[PatientScore]:
        heads, payloads = {}, {}
        for site in sites:
            # In a sealed study the coordinator has no model of its own but the first one.
            before = -1 if self._study.courier.seal != "none" else scoring.number
            sent = self._from_hand(baton, self._place(scoring.arm, before), site)
            heads[site] = self._model_head(
                "evaluate", site, scoring.arm, scoring.number, sent, split=scoring.split
            )
            payloads[site] = sent.data
        about = f"the scores of its {scoring.split} patients"
        replies = self._ask(heads, about, payloads)
        regions = tuple(self._study.data.regions)
        return [
            score
            for site in sites
            for score in taken_scores(
                replies[site], self._surveys[site], scoring.split, regions, self._on_event
            )
        ]

    def threshold_dices(self, baton: Baton, sites: Sequence[str]) -> list[PatientDices]:
        """Raises NetworkError: hospitals do not give them, and such a study was refused."""
        raise NetworkError(NO_THRESHOLD)

    def opened(self, baton: Baton) -> Baton:
        if not baton.sealed or self._study.courier.seal != "owner":
            return baton
        proof = proof_of(baton)
        place = self._place(proof.statement.arm, proof.statement.leg)
        return opened(
            baton.data, proof, place, self._proposal, proof.signer, COORDINATOR, self._keys
        )

    def facts(self) -> Mapping[str, Any]:
        signatures = {site: one.signature for site, one in self._signed.items()}
        terms = {"run": self._run, **self._proposal.terms()}
        return {"network": {**terms, "survey_signatures": signatures}}

    def close(self) -> None:
        self._transport.close()

    def _train(self, arm: Arm, leg: Leg, baton: Baton) -> list[Visit]:
        heads, payloads = {}, {}
        merged = leg.index > 0 and len(arm.legs[leg.index - 1].stops) > 1
        before = self._place(arm.label, leg.index - 1 if merged else -1)
        for stop in leg.stops:
            sent = self._from_hand(baton, before, stop.site)
            heads[stop.site] = self._model_head("train", stop.site, arm.label, leg.index, sent)
            payloads[stop.site] = sent.data
        stops = {stop.site: stop for stop in leg.stops}
        about, then = f"stop of round {leg.stops[0].round}", next_sites(self._sites, arm.legs, leg)
        replies = self._ask(heads, about, payloads, stops, then=then)
        place, visits = self._place(arm.label, leg.index), []
        for site, stop in stops.items():
            found = taken_visit(
                replies[site], stop, self._surveys[site], place, self._proposal, baton
            )
            visits.append(with_deferred(found, leg, self._turn, baton, place, self._keys))
        refuse_unlike_sums(leg, visits)
        return visits

    def _ask(
        self, heads: Mapping[str, Mapping[str, Any]], about: str,
        payloads: Mapping[str, bytes] | None = None, stops: Mapping[str, Stop] | None = None,
        *, then: tuple[str, ...] = (),
    ) -> dict[str, Message]:  # fmt: skip
        told, stops, payloads = Counter[str](), stops or {}, payloads or {}

        def on_message(site: str, message: Mapping[str, Any]) -> None:
            self._tell_waiting(site, message)
            if site in stops:
                self._tell(stops[site], told, message)

        messages = {
            site: pack(head, payloads.get(site, b""), self._keys, travelling_digest(head))
            for site, head in heads.items()
        }
        steps = {site: stop.steps for site, stop in stops.items()}
        return ask(
            self._transport, messages, self._proposal.roster, about, on_message, steps,
            data=self._study.data, then=then,
        )  # fmt: skip

    def _tell_waiting(self, site: str, message: Mapping[str, Any]) -> None:
        if "waits" in message:
            self._on_event(Waiting(site, shown(message["waits"])))

    def _tell(self, stop: Stop, told: Counter[str], message: Mapping[str, Any]) -> None:
        """A step each, also for those between two messages of progress."""
        if (progress := progress_of(message, stop.steps)) is None:
            return
        while told[stop.site] < progress.step:
            told[stop.site] += 1
            step, rate = told[stop.site], progress.slices_per_second
            self._on_event(Step(stop, step, progress.loss, rate))

    def _from_hand(self, baton: Baton, place: Place, to: str) -> Baton:
        """The baton as its last holder handed it on; handed on by the coordinator from `place`
        where it made it itself: the start, or a mean."""
        if baton.proof is not None and baton.proof["signer"] != COORDINATOR:
            return baton
        return hand_over(Baton(baton.data), place, self._proposal, [to], COORDINATOR, self._keys)

    def _model_head(
        self, kind: str, site: str, arm: str, leg: int, sent: Baton, **more: Any
    ) -> dict[str, Any]:
        proof, surveys = proof_of(sent).model_dump(), travelling(self._signed)
        return self._head(kind, site, arm=arm, leg=leg, proof=proof, surveys=surveys, **more)

    def _place(self, arm: str, leg: int) -> dict[str, Any]:
        own = {"run": self._run, "proposal": self._proposal.digest}
        return {**own, "cohort": cohort_digest(self._surveys), "arm": arm, "leg": leg}

    def _head(self, kind: str, site: str, **more: Any) -> dict[str, Any]:
        proposal = self._proposal.as_json()
        return {"ask": kind, "site": site, "run": self._run, "proposal": proposal, **more}

    def _arm_of(self, stops: Sequence[Stop]) -> tuple[Arm, Leg]:
        for arm in self._arms:
            for leg in arm.legs:
                if leg.stops == tuple(stops):
                    return arm, leg
        raise CourierError("These stops are in no arm of the study that was surveyed.")

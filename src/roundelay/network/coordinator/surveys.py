"""Who the hospitals are and what numbers they sign, asked before anything is planned."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roundelay.data.survey import SiteSurvey
from roundelay.errors import RefusedError
from roundelay.network.coordinator.exchange import introduce
from roundelay.network.wire.inventory import mismatches
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import Message
from roundelay.network.wire.proposal import Proposal, Roster, refuse_shared_keys
from roundelay.network.wire.replies import SurveyReply, complaint, parsed_reply
from roundelay.network.wire.statements import SignedSurvey, check_survey
from roundelay.network.wire.transport import Transport
from roundelay.plan.progress import OnProgress, Waiting
from roundelay.records.signatures import COORDINATOR

AGAIN = 5.0
"""Seconds until a hospital whose operator hasn't approved yet is asked again."""

Ask = Callable[[Sequence[str]], Mapping[str, Message]]
"""Asks these sites for their numbers."""


def introduced(
    transport: Transport, sites: Sequence[str], keys: Keys, on_message: Callable[..., None]
) -> Roster:
    """The keys of everyone, as each site states its own."""
    replies = introduce(transport, sites, keys, on_message)
    theirs = {site: said.keys.model_dump() for site, said in replies.items()}
    roster = {COORDINATOR: keys.public(), **theirs}
    refuse_shared_keys(roster)
    return roster


def signed_surveys(
    ask: Ask, sites: Sequence[str], run: str, proposal: Proposal, patience: float,
    on_event: OnProgress,
) -> dict[str, SignedSurvey]:  # fmt: skip
    """The signed numbers of every site; a hospital that has to approve is waited for."""
    found: dict[str, SignedSurvey] = {}
    until = time.monotonic() + patience
    while missing := [site for site in sites if site not in found]:
        for site, reply in ask(missing).items():
            if waits := complaint(reply.head):
                on_event(Waiting(site, waits[1]))
                if time.monotonic() > until:
                    raise RefusedError(f"{site}: {waits[1]}")
                continue
            found[site], unlike = _survey(reply, site, run, proposal)
            if unlike:
                on_event(Waiting(site, f"{unlike}: taken as its site.toml says"))
        if len(found) < len(sites):
            time.sleep(AGAIN)
    return {site: found[site] for site in sites}


def _survey(reply: Message, site: str, run: str, proposal: Proposal) -> tuple[SignedSurvey, str]:
    """The signed numbers, and what its exams have otherwise than the study."""
    answer = parsed_reply(SurveyReply, reply.head, site)
    check_survey(answer, site, proposal.roster[site], run, proposal.digest)
    unlike = mismatches(answer.inventory, proposal.study.data) if answer.inventory else ()
    return SignedSurvey(survey=answer.survey, signature=answer.signature), "; ".join(unlike)


def numbers(signed: Mapping[str, SignedSurvey]) -> dict[str, SiteSurvey]:
    """By site: its numbers, whose signature was checked."""
    return {site: one.survey.survey() for site, one in signed.items()}


def travelling(signed: Mapping[str, SignedSurvey]) -> dict[str, Any]:
    """The signed numbers as every request with a baton carries them."""
    return {site: one.model_dump() for site, one in signed.items()}

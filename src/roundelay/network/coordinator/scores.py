"""A hospital's scores, held against what it said that it has."""

from collections.abc import Sequence

from roundelay.data.survey import SiteSurvey
from roundelay.errors import RefusedError
from roundelay.evaluation.scores import PatientScore
from roundelay.network.wire.messages import Message
from roundelay.network.wire.replies import ScoresReply, checked_scores, complaint, parsed_reply
from roundelay.plan.progress import OnProgress, Waiting


def taken_scores(
    reply: Message, survey: SiteSurvey, split: str, regions: Sequence[str], on_event: OnProgress
) -> Sequence[PatientScore]:
    """The scores of a site's patients of one split, by patient or in one row as its policy has it;
    none where it keeps them, which is told. Raises RefusedError for what can't be."""
    site = survey.site
    if said := complaint(reply.head):
        raise RefusedError(f"{site}: {said[1]}")
    answer = parsed_reply(ScoresReply, reply.head, site)
    if survey.patients[split] and not answer.scores:
        on_event(Waiting(site, f"keeps the scores of its {split} patients"))
    return checked_scores(answer, site, split, survey, tuple(regions)[1:])

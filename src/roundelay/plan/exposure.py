"""Who holds a site's model from before and from after its visit, and could subtract the two."""

from collections.abc import Mapping, Sequence

from roundelay.data.survey import TRAIN, SiteSurvey
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import Leg
from roundelay.study.names import few_names
from roundelay.study.sections import PARALLEL, RELAYS, Order

MOVABLE: tuple[Order, ...] = ("given", "reversed", "there-and-back")
"""Orders in which site_order says where a site stands."""


def weak_places(
    arms: Sequence[Arm],
    surveys: Mapping[str, SiteSurvey],
    *,
    order: Order = "given",
    folds: bool = False,
) -> list[str]:
    """Sites with one training patient, where in the order that patient is least hidden, and what
    would help. `order` is the study's own; an arm of a comparison of orders has another. In `folds`
    who trains in this one tests in another."""
    alone = [
        site
        for site, survey in surveys.items()
        if sum(survey.patients.values()) == 1 and survey.patients[TRAIN] and not folds
    ]
    notices = _alone(alone)
    for site, survey in surveys.items():
        if survey.patients[TRAIN] != 1:
            continue
        for arm in arms:
            if places := exposed(arm, site):
                notices.append(
                    f"{site} trains on one patient and stands {' and '.join(places)} in"
                    f" {arm.label}: whoever holds the model from before and from after this visit"
                    f" can compute what that one patient changed. {_advice(arm, surveys, order)}"
                )
    return notices


def _advice(arm: Arm, surveys: Mapping[str, SiteSurvey], order: Order) -> str:
    """What hides such a patient better: a place inside, where the order has one to give."""
    sites = {stop.site for leg in arm.legs for stop in leg.stops if leg.task == "train"}
    single = sum(surveys[site].patients[TRAIN] == 1 for site in sites)
    inside = max(0, len(sites) - 2)
    if inside < single:
        several = f"{inside or 'None'} of {len(sites)} sites"
        return (
            f"{several if len(sites) > 1 else 'No single site'} can stand inside: let it"
            " train on more patients, or leave it out of training."
        )
    if (own := arm.order or order) in MOVABLE:
        return "Move it inwards with site_order."
    drawn = "places are drawn" if own == "shuffled" else "places go by size"
    return (
        f'With order = "{own}" {drawn}: take order = "given", and move it inwards with site_order.'
    )


def _alone(sites: Sequence[str]) -> list[str]:
    """Said once, of however many sites."""
    if len(sites) > 1:
        return [
            f"{len(sites)} sites have one patient each, used for training: their own Dice can't be"
            f" known ({few_names(sites)})."
        ]
    return [
        f"{site} has one patient, used for training: its own Dice can't be known." for site in sites
    ]


def exposed(arm: Arm, site: str) -> list[str]:
    """Where a site of a relay is least hidden.

    First: the start weights are known to all. Last: so is the final model. At the turn: the
    neighbour before it is the neighbour after it, and holds both models.
    """
    if arm.name not in RELAYS:
        return []
    order = [leg.stops[0].site for leg in arm.legs if leg.task == "train"]
    visits = [name for i, name in enumerate(order) if i == 0 or name != order[i - 1]]
    at_turn = any(
        visits[i] == site and visits[i - 1] == visits[i + 1] for i in range(1, len(visits) - 1)
    )
    places = {"first": order[0] == site, "last": order[-1] == site, "at the turn": at_turn}
    return [place for place, so in places.items() if so]


THE_COORDINATOR = "the coordinator"

EVERYONE = "anyone"


def subtractors(
    name: str, legs: Sequence[Leg], *, readers: Sequence[str] = (THE_COORDINATOR,)
) -> dict[str, list[str]]:
    """For each site of an arm, who holds a model from before and from after one of its visits.

    `readers` can read every baton: on one machine, and on a cluster that one party runs, the
    coordinator; between hospitals as the study's seal says. The start weights and the final model
    count as held by anyone; where a recalibration follows, the last trained model goes out to all
    sites of the study.
    """
    trained = [leg for leg in legs if leg.task == "train"]
    sites = list(dict.fromkeys(stop.site for leg in trained for stop in leg.stops))
    found = {site: set(readers) - {site} for site in sites}
    if name not in RELAYS + PARALLEL:
        return {}
    order = [leg.stops[0].site for leg in trained] if name in RELAYS else []
    for i, site in enumerate(order):
        before = {EVERYONE} if i == 0 else {order[i - 1]}
        after = {EVERYONE} if i == len(order) - 1 else {order[i + 1]}
        if EVERYONE in before or EVERYONE in after:
            found[site] |= (before | after) - {EVERYONE} or {EVERYONE}
        found[site] |= (before & after) - {EVERYONE}
        found[site].discard(site)
    return {
        site: sorted(who, key=lambda w: (w != THE_COORDINATOR, w)) for site, who in found.items()
    }

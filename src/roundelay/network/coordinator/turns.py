"""Whose turn it is where a hospital that is away is put off within its round.

The choice is noted down before anything is sent: a site takes a baton once, so a coordinator that
was killed must ask for the same visit again, also where the hospital that was put off is back.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from roundelay.errors import NetworkError, SiteAbsentError
from roundelay.files.writing import write_json
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.transport import Transport
from roundelay.plan.itinerary import Leg
from roundelay.plan.progress import OnProgress, Waiting
from roundelay.study.sections import CourierSettings

LOOK_AGAIN = 1.0
"""Seconds between two looks at who is there."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The leg to run now, and the seconds that each site put off in this round was waited for."""

    leg: Leg
    put_off: Mapping[Leg, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Noted:
    """A choice as it is noted down: the arm and its open legs, the one chosen, those put off."""

    open: list[str | int]
    leg: int
    deferred: dict[str, float]


NOTED = TypeAdapter(Noted)

DAMAGED = (
    "whose turn it was is no longer known. Remove the file and go on with --resume; a site that"
    " had begun a visit may then refuse the next one"
)


def next_turn(
    arm: str, legs: Sequence[Leg], before: Turn | None, transport: Transport,
    settings: CourierSettings, note: Path, on_event: OnProgress,
) -> Turn:  # fmt: skip
    """The first of a round's open `legs` whose site is there, noted down in the file `note`.

    A site is put off once it was waited for during ``defer_after`` seconds, not again within the
    round. Raises SiteAbsentError where nobody comes within ``patience`` seconds.
    """
    put_off = dict(before.put_off) if before else {}
    put_off = {leg: seconds for leg, seconds in put_off.items() if leg in legs}
    opened: list[str | int] = [arm, *(leg.index for leg in legs)]
    turn = _noted(note, opened, legs)
    turn = turn or _first_there(legs, put_off, transport, settings, on_event)
    seconds = {str(leg.index): waited for leg, waited in turn.put_off.items()}
    write_json(note, {"open": opened, "leg": turn.leg.index, "deferred": seconds})
    return turn


def _noted(note: Path, opened: list[str | int], legs: Sequence[Leg]) -> Turn | None:
    """What a coordinator that was killed had chosen among these legs."""
    if not note.exists():
        return None
    choice = read_kept(note, NOTED, NetworkError, DAMAGED)
    if choice.open != opened:
        return None
    by_index = {str(leg.index): leg for leg in legs}
    if not {str(choice.leg), *choice.deferred} <= by_index.keys():
        return None
    put_off = {by_index[index]: seconds for index, seconds in choice.deferred.items()}
    return Turn(by_index[str(choice.leg)], put_off)


def _first_there(
    legs: Sequence[Leg], put_off: Mapping[Leg, float], transport: Transport,
    settings: CourierSettings, on_event: OnProgress,
) -> Turn:  # fmt: skip
    put_off, begin = dict(put_off), time.monotonic()
    while True:
        there, waited = transport.present(), time.monotonic() - begin
        for leg in legs:
            site = leg.stops[0].site
            if site in there:
                return Turn(leg, put_off)
            if leg not in put_off:
                if waited < settings.defer_after:
                    break
                put_off[leg] = waited
                on_event(Waiting(site, "isn't there: put off to later"))
        if waited > settings.patience:
            raise SiteAbsentError(legs[0].stops[0].site, str(legs[0].stops[0]), waited)
        time.sleep(LOOK_AGAIN)

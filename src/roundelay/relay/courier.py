"""What the relay asks of a courier: how a baton reaches a site and comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from roundelay.data.survey import SiteSurvey
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.thresholds import PatientDices
from roundelay.plan.itinerary import Leg, Stop
from roundelay.relay.baton import Baton
from roundelay.relay.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Visit:
    """A stop as it happened: the site's statement, and the baton that it returns."""

    receipt: Receipt
    baton: Baton


@dataclass(frozen=True, slots=True)
class Scoring:
    """Which model is scored on which patients: that of an arm (by its label) after so many
    hand-overs (`number`, counted from 0), on the patients of one split; at the `thresholds` of its
    regions where they were chosen, else at the study's."""

    arm: str
    number: int
    split: str
    thresholds: tuple[float, ...] = ()


class Courier(Protocol):
    """How a baton reaches a site and comes back.

    Every method raises SiteError where a site fails, and keeps nothing of what failed.
    """

    def survey(self) -> Mapping[str, SiteSurvey]:
        """Every site's numbers, in the order in which the sites are given."""

    def next_leg(self, legs: Sequence[Leg]) -> Leg:
        """Which of the round's legs that are still open is run next: the first, unless the study
        puts off sites that are away."""

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        """One visit for each stop, in their order; all of them begin with `baton`."""

    def evaluate(self, baton: Baton, sites: Sequence[str], scoring: Scoring) -> list[PatientScore]:
        """Scores of the patients of one split, site by site; of a site that keeps them, none."""

    def threshold_dices(self, baton: Baton, sites: Sequence[str]) -> list[PatientDices]:
        """Validation patients' Dice at each threshold that can be chosen, site by site."""

    def opened(self, baton: Baton) -> Baton:
        """The baton as whoever runs the study may read it: itself, or opened; else still sealed."""

    def facts(self) -> Mapping[str, Any]:
        """What run.json records: of the network that batons cross, which a resumed run has in
        common; or, after the survey, what was left out of the folder of patients, and whether all
        of them are synthetic."""

    def close(self) -> None:
        """End what was started."""

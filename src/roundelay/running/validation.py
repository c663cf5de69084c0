"""Validation after hand-overs: the model's Dice at every hospital, and the choice of a round.

Only means by site are kept. Validation patients choose; test patients never do.
"""

from collections.abc import Sequence
from pathlib import Path

from roundelay.data.survey import VALIDATION
from roundelay.errors import RefusedError
from roundelay.evaluation.choosing import best_leg
from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.summary import site_means
from roundelay.files.writing import write_json
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import Leg
from roundelay.plan.legs import followed
from roundelay.records.arm import VALIDATIONS, read_validations
from roundelay.relay.aggregation import goes_home
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Courier, Scoring
from roundelay.relay.ledger import Ledger
from roundelay.study.sections import Evaluation


class ValidationMatrix:
    """The matrix *hand-over by site* of one arm, written after each one that the study follows."""

    def __init__(
        self, place: Path, arm: Arm, settings: Evaluation, courier: Courier, sites: Sequence[str]
    ) -> None:
        """`sites` are those with validation patients."""
        self._path, self._courier, self._sites = place / VALIDATIONS, courier, tuple(sites)
        self._arm, self._chooses = arm.label, settings.choose != "last"
        self._followed = followed(arm.legs, settings) if sites else frozenset()
        self.rows = read_validations(place)

    def after_leg(self, number: int, leg: Leg, baton: Baton) -> Validation | None:
        """Validate the model of a hand-over that the study follows, and write the matrix."""
        if number not in self._followed:
            return None
        scores = self._courier.evaluate(
            goes_home(baton), self._sites, Scoring(self._arm, number, VALIDATION)
        )
        means = site_means(scores)
        if not means and self._chooses:
            raise RefusedError(
                "No hospital gives scores of its validation patients, so none of the rounds' models"
                ' can be chosen. Write choose = "last", or ask the hospitals for another policy'
                " (release.scores, release.least_scored)."
            )
        skipped = {
            statement["statement"]["leg"] for statement in (baton.proof or {}).get("absent", [])
        }
        trained = leg.task == "train" and leg.index not in skipped
        validation = Validation(
            leg=number,
            round=leg.stops[0].round,
            visited=tuple(stop.site for stop in leg.stops) if trained else (),
            dice={site: mean for site, (_, mean) in means.items()},
            patients={site: count for site, (count, _) in means.items()},
            regions={
                name: {
                    site: mean
                    for site, (_, mean) in site_means([s.of_region(name) for s in scores]).items()
                }
                for name in (scores[0].regions if scores else ())
            },
        )
        self.rows = [*(row for row in self.rows if row.leg < number), validation]
        write_json(self._path, [row.as_json() for row in self.rows])
        return validation

    def catch_up(self, arm: Arm, ledger: Ledger) -> None:
        """Validate the last leg where a kill came between its ledger line and its row."""
        last = ledger.legs_done - 1
        if last >= 0 and all(row.leg != last for row in self.rows):
            self.after_leg(last, arm.legs[ledger.legs_run[last]], ledger.baton_of(last))

    def best_leg(self, arm: Arm, choose: str) -> int:
        """The end of a round whose model is best."""
        return best_leg(self.rows, arm.round_ends, choose)

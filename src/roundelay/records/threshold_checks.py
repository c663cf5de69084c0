"""The thresholds of an arm's model, held against the validation patients who chose them."""

from math import isclose
from statistics import fmean

from roundelay.data.survey import VALIDATION
from roundelay.errors import LedgerError
from roundelay.evaluation.thresholds import CANDIDATES, chosen_thresholds
from roundelay.records.evidence import ArmEvidence
from roundelay.records.layout import SCORES
from roundelay.records.thresholds import THRESHOLDS, ThresholdChoice
from roundelay.study.sections import PLAIN_THRESHOLD

SAME = 0.01
"""Two scorings of one model on one machine's patients differ by less, where a GPU rounds."""


def check_thresholds(arm: ArmEvidence) -> None:
    """The thresholds are those that the validation patients choose, each scored at them."""
    if (choice := arm.thresholds) is None:
        return
    path, names = arm.place / THRESHOLDS, tuple(arm.run.known_study.data.regions)
    if not choice.patients or any(tuple(one.dice) != names for one in choice.patients):
        raise LedgerError(f"{path} has not a Dice of each region for each validation patient.")
    if dict(choice.chosen) != chosen_thresholds(choice.patients):
        raise LedgerError(f"{path} names other thresholds than its patients' Dices choose.")
    found = {(one.site, one.patient): one.dice for one in choice.patients}
    own = [score for score in arm.known_scores if score.split == VALIDATION]
    if len(found) != len(choice.patients) or {(s.site, s.patient) for s in own} != found.keys():
        raise LedgerError(f"{path} has other patients than the validation patients in {SCORES}.")
    for score in own:
        for name in names:
            at = CANDIDATES.index(choice.chosen[name])
            region = score.of_region(name) if name in score.regions else score
            stated = found[score.site, score.patient][name][at]
            if not isclose(region.dice, stated, abs_tol=SAME):
                raise LedgerError(
                    f"{path} says {stated:.3f} of a patient of {score.site}, whose Dice in"
                    f" {SCORES} is {region.dice:.3f}."
                )


def given_means(choice: ThresholdChoice) -> dict[str, tuple[int, float]]:
    """As `site_means`, of the main region at the threshold that rounds are validated at."""
    at, main = CANDIDATES.index(PLAIN_THRESHOLD), next(iter(choice.chosen))
    by_site: dict[str, list[float]] = {}
    for one in choice.patients:
        by_site.setdefault(one.site, []).append(one.dice[main][at])
    return {site: (len(dices), fmean(dices)) for site, dices in by_site.items()}

"""What the scores of a whole run come to: methods, comparisons, groups of patients, forgetting.

`summary.json` and the report say the same, since both ask here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from roundelay.evaluation.comparison import Comparison, Dice, compare
from roundelay.evaluation.fairness import Group, groups
from roundelay.evaluation.forgetting import Forgetting, Validation, measure_forgetting
from roundelay.evaluation.intervals import Interval, mean_interval
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import Summary, by_patient, mean_dice, summarize


@dataclass(frozen=True, slots=True)
class ArmScores:
    """The scores of one model, and its validations after hand-overs.

    `method` is what is compared; `home` names the site of a model that stays there (``local``).
    """

    label: str
    method: str
    seed: int
    home: str | None
    scores: tuple[PatientScore, ...]
    validations: tuple[Validation, ...] = ()


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method over all its seeds.

    `scores` has a score a patient, whose Dice is the mean over seeds (all else is the first
    seed's); `dices` are those by patient of each of `seeds`, `single_seeds` their means. `interval`
    is of the mean Dice, over seeds and patients together, over patients where there is one seed.
    `worst` is the site with the lowest mean.
    """

    method: str
    scores: tuple[PatientScore, ...]
    summary: Summary
    interval: Interval | None
    seeds: tuple[int, ...]
    dices: tuple[Dice, ...]
    single_seeds: tuple[float, ...]
    worst: tuple[str, float]
    gap: float

    @property
    def by_seed(self) -> dict[int, Dice]:
        return dict(zip(self.seeds, self.dices, strict=True))

    def dice_at(self, site: str) -> list[float]:
        """The Dices of one site's patients."""
        return [score.dice for score in self.scores if score.site == site]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What may be said of a run. `comparisons` are empty where sites gave no scores by patient."""

    methods: tuple[MethodResult, ...]
    comparisons: tuple[Comparison, ...]
    groups: tuple[Group, ...]
    forgetting: Mapping[str, Forgetting]

    def before_pairs(self) -> "Judgement":
        """As earlier versions judged, which drew each method's seeds on their own."""
        methods = {one.method: one.by_seed for one in self.methods}
        found = compare(methods, paired=False) if self.comparisons else []
        return replace(self, comparisons=tuple(found))

    def as_json(self) -> dict[str, Any]:
        """The values of summary.json."""
        return {
            "methods": [
                {
                    "method": one.method,
                    "dice_mean": one.summary.dice_mean,
                    "dice_mean_interval": one.interval and asdict(one.interval),
                    "single_seeds": list(one.single_seeds),
                    "worst_site": one.worst[0],
                    "worst_site_dice": one.worst[1],
                    "gap": one.gap,
                }
                for one in self.methods
            ],
            "comparisons": [
                {
                    **asdict(one),
                    "sentence": one.sentence(minus="-"),  # in ASCII, as all JSON
                    "beyond_noise": one.beyond_noise,
                    "no_verdict": one.no_verdict,
                }
                for one in self.comparisons
            ],
            "groups": [{**asdict(group), "small": group.small} for group in self.groups],
            "forgetting": {
                label: {**asdict(found), "mean": found.mean}
                for label, found in self.forgetting.items()
            },
        }


def judge(arms: Sequence[ArmScores]) -> Judgement:
    """Judge the arms of a run; those without scores say nothing yet.

    The first method is compared with each of the others over the patients that both scored.
    """
    methods = tuple(
        _result(method, seeds)
        for method in dict.fromkeys(arm.method for arm in arms if arm.scores)
        if (seeds := scores_by_seed(arms, method))
    )
    singly = all(by_patient(arm.scores) for arm in arms)
    compared = len(methods) > 1 and singly and _have_patients_in_common(methods)
    found = compare({one.method: one.by_seed for one in methods}) if compared else []
    return Judgement(
        methods,
        tuple(found),
        tuple(groups(methods[0].scores, methods[0].dices)) if methods else (),
        {a.label: measure_forgetting(a.validations) for a in arms if len(a.validations) > 1},
    )


def scores_by_seed(arms: Sequence[ArmScores], method: str) -> dict[int, dict[str, PatientScore]]:
    """For each seed, the scores by patient; for ``local`` each patient's own hospital's model.

    A patient of a hospital without a model of its own has no score there. While a run goes, a
    seed some of whose models are still to come is left out.
    """
    found: dict[int, dict[str, PatientScore]] = {}
    for arm in arms:
        if arm.method == method:
            own = [score for score in arm.scores if arm.home in (None, score.site)]
            found.setdefault(arm.seed, {}).update({score.patient: score for score in own})
    whole = max((len(scores) for scores in found.values()), default=0)
    seeds = {n: scores for n, scores in found.items() if scores and len(scores) == whole}
    # A hospital may change how it names its rows, or keep some, between one seed and the next.
    common = set.intersection(*map(set, seeds.values())) if seeds else set()
    if not common:
        return {}
    return {n: {p: s for p, s in own.items() if p in common} for n, own in seeds.items()}


def _have_patients_in_common(methods: Sequence[MethodResult]) -> bool:
    """Whether every other method scored some patient that the first one scored; hospitals may keep
    the scores of one method and give those of another."""
    first, *others = ({score.patient for score in one.scores} for one in methods)
    return all(first & other for other in others)


def _result(method: str, by_seed: Mapping[int, Mapping[str, PatientScore]]) -> MethodResult:
    seeds = [*by_seed.values()]
    dices = tuple({patient: s.dice for patient, s in scores.items()} for scores in seeds)
    scores = tuple(
        replace(
            score,
            dice=fmean(dice[patient] for dice in dices),
            regions={
                name: replace(one, dice=fmean(own[patient].regions[name].dice for own in seeds))
                for name, one in score.regions.items()
            },
        )
        for patient, score in seeds[0].items()
    )
    summary = summarize(scores)
    sites = sorted((site.mean, name) for name, site in summary.by_site.items())
    singly = by_patient(scores)
    return MethodResult(
        method=method,
        scores=scores,
        summary=summary,
        interval=mean_interval([[d[p] for p in dices[0]] for d in dices], 0) if singly else None,
        seeds=tuple(by_seed),
        dices=dices,
        single_seeds=tuple(mean_dice(list(seed.values())) for seed in seeds),
        worst=(sites[0][1], sites[0][0]),
        gap=sites[-1][0] - sites[0][0],
    )

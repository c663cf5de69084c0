"""For whom a model works: Dice by hospital and by what the cohort says of its patients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from roundelay.evaluation.intervals import FEWEST, Interval, mean_interval
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import by_patient

SMALL = FEWEST
"""Groups below this many patients are marked: one patient moves them far."""

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "sex": ("gender", "sex"),
    "age": ("age_at_initial_pathologic", "age"),
    "grade": ("neoplasm_histologic_grade", "grade"),
}
"""What a group is called, and the columns of a cohort's table in which it is looked for,
in any case."""

MISSING, SEQUENCES = "missing_sequences", "sequences"
"""The attribute of a patient whose exam lacks some, and what such groups are called."""

SEX = {"1": "female", "2": "male", "f": "female", "m": "male"}
GRADE = {"1": "II", "2": "III"}


@dataclass(frozen=True, slots=True)
class Group:
    """Patients who share something: `kind` is hospital, sex, age, grade, tumour size or, where some
    exam lacks one, sequences."""

    kind: str
    name: str
    patients: int
    mean: float
    interval: Interval | None

    @property
    def small(self) -> bool:
        return self.patients < SMALL


@dataclass(frozen=True, slots=True)
class Gap:
    """The distance between the best and the worst hospital."""

    best: Group
    worst: Group

    @property
    def size(self) -> float:
        return self.best.mean - self.worst.mean


Dice = Mapping[str, float]
"""Dice by patient."""


def groups(
    scores: Sequence[PatientScore], seeds: Sequence[Dice] = (), *, seed: int = 0
) -> list[Group]:
    """All groups of a method's patients; a kind that the cohort says nothing of is left out.

    `seeds` has the Dices of each seed where `scores` are means over them: intervals are then over
    seeds and patients together.
    """
    found: list[Group] = []
    sizes = size_names([score.reference_volume for score in scores])
    kinds: dict[str, Callable[[PatientScore], str | None]] = {
        "hospital": lambda score: score.site,
        "tumour size": lambda score: sizes(score.reference_volume),
        **{kind: partial(attribute, kind=kind) for kind in ATTRIBUTES},
    }
    if any(score.attributes.get(MISSING) for score in scores):
        kinds[SEQUENCES] = sequences_of
    if not by_patient(scores):  # a row of a whole hospital belongs to no other group
        kinds = {"hospital": kinds["hospital"]}
    for kind, name_of in kinds.items():
        members: dict[str, list[PatientScore]] = {}
        for score in scores:
            if name := name_of(score):
                members.setdefault(name, []).append(score)
        found += [
            _group(kind, name, own, seeds, seed)
            for name, own in sorted(members.items(), key=lambda item: _rank(item[0]))
        ]
    return found


def _group(
    kind: str, name: str, scores: Sequence[PatientScore], seeds: Sequence[Dice], seed: int
) -> Group:
    dices, weights = [score.dice for score in scores], [score.patients for score in scores]
    by_seed = [[dice[score.patient] for score in scores] for dice in seeds] or [dices]
    interval = mean_interval(by_seed, seed) if by_patient(scores) else None
    return Group(kind, name, sum(weights), fmean(dices, weights), interval)


def gap(found: Sequence[Group]) -> Gap | None:
    """Best and worst hospital of those with more than one patient; None below two of them."""
    hospitals = sorted(
        (g for g in found if g.kind == "hospital" and g.patients > 1), key=lambda g: g.mean
    )
    return Gap(hospitals[-1], hospitals[0]) if len(hospitals) > 1 else None


def gap_between(hospitals: Mapping[str, tuple[int, float]]) -> Gap | None:
    """As `gap`, of each hospital's patients and mean Dice."""
    return gap([Group("hospital", name, *own, None) for name, own in hospitals.items()])


def attribute(score: PatientScore, kind: str) -> str | None:
    """A patient's sex, age group or grade, as text; None where it isn't known.

    The LGG set codes sex 1 and 2 and grade 1 and 2 (WHO II and III).
    """
    known = {column.casefold(): value for column, value in score.attributes.items()}
    for column in ATTRIBUTES[kind]:
        value = known.get(column, "").strip()
        if not value:
            continue
        if kind == "sex":
            return SEX.get(value.lower(), value)
        if kind == "grade":
            return GRADE.get(value, value)
        try:
            age = float(value)
        except ValueError:
            return None
        if not 0 <= age < 150:
            return None
        return "under 40" if age < 40 else "40 to 59" if age < 60 else "60 and over"
    return None


def sequences_of(score: PatientScore) -> str:
    """Which sequences a patient's exam has: all that the study names, or without which."""
    lacks = [name.strip() for name in score.attributes.get(MISSING, "").split(",") if name.strip()]
    if not lacks:
        return "all there"
    return f"without {' and '.join(lacks)}"


def size_names(volumes: Sequence[float]) -> Callable[[float], str]:
    """Names for the terciles of these volumes."""
    ordered = sorted(volumes)
    first, second = (ordered[max(0, -(-len(ordered) * k // 3) - 1)] for k in (1, 2))

    def name(volume: float) -> str:
        return "small third" if volume <= first else "middle" if volume <= second else "large third"

    return name


_ORDER = ("under 40", "40 to 59", "60 and over", "small third", "middle", "large third")


def _rank(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)

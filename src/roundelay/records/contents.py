"""A run folder as values: finished, still running, or damaged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from roundelay.data.survey import TEST, VALIDATION
from roundelay.errors import LedgerError, RunFolderError
from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.judgement import ArmScores, Judgement, judge
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import Summary, by_patient, summarize
from roundelay.plan.cost import planned_bytes
from roundelay.plan.itinerary import Leg
from roundelay.records.arm import model_digest, read_legs, read_scored, read_validations
from roundelay.records.arm_claims import arm_problems
from roundelay.records.layout import (
    LEDGER,
    SUMMARY,
    arm_folder,
    read_record,
    study_of,
)
from roundelay.records.samples import read_samples
from roundelay.records.thresholds import ThresholdChoice, read_thresholds
from roundelay.records.traffic import passed_bytes
from roundelay.relay.chain import read_chain
from roundelay.relay.receipt import Receipt, absence_statements
from roundelay.study.sections import RELAYS
from roundelay.study.study import Study

FULL_NAMES = {
    "cwt": "cyclic weight transfer",
    "swt": "single weight transfer",
    "fedavg": "federated averaging",
    "fedprox": "federated averaging with FedProx's penalty",
    "pooled": "all images in one place",
    "local": "each hospital alone, on its own patients",
}


AWAY = {"absent": "it was skipped", "deferred": "it was put off to later in the round"}


@dataclass(frozen=True)
class ArmRun:
    """An arm as far as it has come.

    `legs` stand as they were run, then as they are planned; `away` says which sites weren't there
    at their turn. `scores` are of its test patients, or of its validation patients where none test;
    `every_score` of both. Empty while it runs. `thresholds` are those of its model, where
    validation patients chose them.
    """

    place: Path
    label: str
    name: str
    seed: int
    order: str | None
    site: str | None
    legs: tuple[Leg, ...]
    away: tuple[str, ...]
    receipts: tuple[Receipt, ...]
    legs_done: int
    validations: tuple[Validation, ...]
    chosen_leg: int | None
    scores: tuple[PatientScore, ...]
    every_score: tuple[PatientScore, ...]
    head: str
    thresholds: ThresholdChoice | None = None

    @property
    def done(self) -> bool:
        return self.chosen_leg is not None

    @property
    def method(self) -> str:
        """What is compared: the arm, and its order where the study has several."""
        return self.name + (f", {self.order}" if self.order else "")

    @cached_property
    def summary(self) -> Summary | None:
        return summarize(self.scores) if self.scores else None

    def as_scores(self) -> ArmScores:
        """What is judged of it."""
        return ArmScores(
            self.label, self.method, self.seed, self.site, self.scores, self.validations
        )

    @property
    def seconds(self) -> float:
        """Seconds of work at all sites together."""
        return sum(receipt.seconds for receipt in self.receipts)

    @property
    def bytes_passed(self) -> int | None:
        return passed_bytes(self.name, self.receipts)

    @cached_property
    def model_digest(self) -> str:
        """SHA-256 of the model's file, sealed or open."""
        return model_digest(self.place)

    def bytes_planned(self, study: Study) -> int | None:
        return planned_bytes(study, self.name, self.legs, self.receipts[0].sent_bytes)


@dataclass(frozen=True)
class Run:
    """What a run folder holds. `problems` says which ledgers do not verify."""

    folder: Path
    study: Study
    record: Mapping[str, Any]
    arms: tuple[ArmRun, ...]
    problems: tuple[str, ...] = ()
    split: str = TEST
    samples: tuple[Mapping[str, Any], ...] = field(default=())
    finished: bool = False

    @property
    def synthetic(self) -> bool:
        return bool(self.record["synthetic"])

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(site["site"] for site in self.record["sites"])

    @cached_property
    def judgement(self) -> Judgement:
        """What may be said of the arms as far as they have come."""
        return judge([arm.as_scores() for arm in self.arms])

    @property
    def by_patient(self) -> bool:
        """Whether every hospital gave its scores by patient."""
        return all(by_patient(arm.scores) for arm in self.arms)

    def arms_of(self, method: str) -> list[ArmRun]:
        """The scored arms of a method, in the order of the study."""
        return [arm for arm in self.arms if arm.method == method and arm.scores]

    def relay_arm(self) -> ArmRun | None:
        """The arm whose itinerary is drawn in full: the first relay."""
        return next((arm for arm in self.arms if arm.name in RELAYS), None)


def read_run(place: Path, *, verified: bool = True) -> Run:
    """Read a run folder, at any moment of its life. Raises RunFolderError where it is none.

    Its problems are what of the arms' ledgers, batons and ends failed, where that is `verified`.
    """
    record = read_record(place)
    study = study_of(place)
    arms, problems = [], []
    finished = (place / SUMMARY).exists()
    split = TEST if any(site["patients"][TEST] for site in record["sites"]) else VALIDATION
    for label in record["arms"]:
        folder = arm_folder(place, label)
        if not (folder / LEDGER).exists():
            continue
        if verified:
            problems += [f"{label}: {problem}" for problem in arm_problems(place, label)]
        try:
            arms.append(_read_arm(folder, label, split))
        except (LedgerError, OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{label} can't be shown: {error}")
    return Run(
        place, study, record, tuple(arms), tuple(problems), split, read_samples(place), finished
    )


def _read_arm(place: Path, label: str, split: str) -> ArmRun:
    legs, chain = read_legs(place), read_chain(place / LEDGER)
    lines = chain.lines
    chosen_leg, every_score = read_scored(place) or (None, ())
    first = legs[0].stops[0]
    name, _, order = first.arm.partition("-")
    return ArmRun(
        place=place,
        label=label,
        name=name,
        seed=first.seed,
        order=order or None,
        site=first.site if name == "local" else None,
        legs=_as_run(legs, [line["leg"] for line in lines[1:]]),
        away=_away(lines),
        receipts=tuple(Receipt(**r) for line in lines[1:] for r in line["receipts"]),
        legs_done=len(lines) - 1,
        validations=tuple(read_validations(place)),
        chosen_leg=chosen_leg,
        scores=tuple(score for score in every_score if score.split == split),
        every_score=every_score,
        head=chain.head,
        thresholds=read_thresholds(place),
    )


def _as_run(legs: tuple[Leg, ...], run: list[int]) -> tuple[Leg, ...]:
    """Legs in the order in which they were run, then those to come."""
    return (*(legs[i] for i in run), *(leg for leg in legs if leg.index not in run))


def _away(lines: list[dict[str, Any]]) -> tuple[str, ...]:
    """Turns that were skipped or put off, one sentence each."""
    found: dict[tuple[str, int], str] = {}
    for line in lines[1:]:
        stated = [
            statement["statement"]["receipt"] for statement in absence_statements(line, "deferred")
        ]
        for receipt in (*stated, *line["receipts"]):
            if receipt["task"] in AWAY:
                found[receipt["site"], receipt["round"]] = (
                    f"{receipt['site']} wasn't there at its turn in round {receipt['round']}:"
                    f" {AWAY[receipt['task']]}."
                )
    return tuple(found.values())


def refuse_other_cohorts(runs: list[Run]) -> None:
    """Raise RunFolderError unless all runs scored the same patients of the same images."""
    for run in runs[1:]:
        if run.record["cohort"] != runs[0].record["cohort"]:
            raise RunFolderError(
                f"{runs[0].folder} and {run.folder} are of different cohorts or splits"
                f" ({runs[0].record['cohort'][:12]}, {run.record['cohort'][:12]}): their scores"
                " can't be compared. Report each on its own."
            )

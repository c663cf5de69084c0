"""What a run does, known before training: its arms, their first weights, what is recorded of it."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from roundelay.data.left_out import LeftOut
from roundelay.data.survey import TEST, VALIDATION, SiteSurvey, cohort_digest
from roundelay.errors import DataError, StudyError
from roundelay.evaluation.thresholds import CANDIDATES
from roundelay.files.installed import installed_version
from roundelay.learning.machine import Machine, processor
from roundelay.learning.weights_source import source_of
from roundelay.plan.arms import Arm, lay
from roundelay.plan.cost import room_needed
from roundelay.plan.exposure import weak_places
from roundelay.plan.itinerary import digest
from roundelay.plan.keeping import kept_always
from roundelay.records.going_on import GOES_ON, GoingOn, counted_rounds
from roundelay.records.layout import FORMAT, arm_folder
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Courier
from roundelay.relay.ledger import Header
from roundelay.running.events import Planned
from roundelay.running.starting import start_baton
from roundelay.study.study import Study


@dataclass(frozen=True)
class ArmPlan:
    """One arm, the weights that it begins with, and the sites that take part; `weights` says where
    the encoder's come from."""

    study: Study
    arm: Arm
    start: Baton
    surveys: Mapping[str, SiteSurvey]
    weights: Mapping[str, Any] | None = None
    synthetic: bool = False

    @property
    def chooses(self) -> bool:
        """Whether one of the rounds' models is chosen."""
        return self.study.evaluation.choose != "last"

    @property
    def keep(self) -> frozenset[int] | None:
        """The hand-overs whose batons stay in the run folder; None: all of them."""
        return kept_always(self.study, self.arm.legs)

    @cached_property
    def header(self) -> Header:
        """The ledger's first line."""
        return Header(
            self.arm.label,
            self.study.digest,
            digest(self.arm.legs),
            cohort_digest(self.surveys),
            self.start.digest,
        )

    def scored_at(self, split: str) -> tuple[str, ...]:
        """Sites asked for scores of this split: all for the test, else those with such patients."""
        found = self.surveys.items()
        return tuple(site for site, one in found if split == TEST or one.patients[split])

    @property
    def validated(self) -> tuple[str, ...]:
        """Sites with validation patients."""
        return self.scored_at(VALIDATION)


@dataclass(frozen=True)
class RunPlan:
    """A whole run; `starts` are the first weights by seed, `facts` what run.json records.

    One that is `going_on` from another run begins each arm with that one's model instead.
    """

    study: Study
    surveys: Mapping[str, SiteSurvey]
    arms: tuple[Arm, ...]
    starts: Mapping[int, Baton]
    machine: Machine
    facts: Mapping[str, Any]
    going_on: GoingOn | None = None

    def of(self, arm: Arm) -> ArmPlan:
        """The plan of one of its arms."""
        going_on = self.going_on
        start = going_on.start(arm.label) if going_on else self.starts[arm.seed]
        return ArmPlan(
            self.study,
            arm,
            start,
            self.surveys,
            self.facts.get("weights"),
            self.facts["synthetic"],
        )

    @property
    def baton_bytes(self) -> int:
        """The size of the first weights."""
        return len(self.starts[self.study.seeds[0]].data)

    @property
    def room_needed(self) -> int:
        """Bytes that the whole run writes."""
        return room_needed(
            self.study, self.arms, self.baton_bytes, between_hospitals=not self.images_at_hand
        )

    @property
    def images_at_hand(self) -> bool:
        """Between hospitals the images of the pictures are elsewhere."""
        return "network" not in self.facts

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was left out of the folder of patients, or noticed there; between hospitals each
        says it at home."""
        return tuple(LeftOut.from_json(one) for one in self.facts.get("left_out", ()))

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know before training begins."""
        return tuple(_notices(self))

    def announced(self) -> Planned:
        """What is told before training begins."""
        return Planned(self.arms, self.surveys, self.notices)


def lay_run(
    study: Study, courier: Courier, machine: Machine, going_on: GoingOn | None = None
) -> RunPlan:
    """Ask the sites for their numbers and lay every arm.

    Raises DataError or StudyError for all that could only be found out after training otherwise.
    """
    surveys, facts = courier.survey(), courier.facts()
    arms = lay_arms(study, surveys, sealed=facts.get("network", {}).get("seal", "none") != "none")
    starts = {seed: start_baton(study, seed) for seed in study.seeds}
    own = {
        "format": FORMAT,
        "roundelay": installed_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "python": platform.python_version(),
        "processor": processor(),
        "study": study.digest,
        "cohort": cohort_digest(surveys),
        "synthetic": study.data.format == "phantom",
        "machine": machine.as_json(),
        "threads": torch.get_num_threads(),
        "arms": [arm.label for arm in arms],
        "folders": {arm.label: arm_folder(Path(), arm.label).as_posix() for arm in arms},
        "sites": [survey.as_json() for survey in surveys.values()],
    }
    if source := source_of(study.model):
        own["weights"] = source.as_json()
    if study.evaluation.chooses_threshold:
        own["threshold_candidates"] = list(CANDIDATES)
    if going_on is not None:
        _refuse_other_cohort(going_on, own)
        own[GOES_ON] = going_on.before.model_dump()
    return RunPlan(study, surveys, arms, starts, machine, own | dict(facts), going_on)


def _refuse_other_cohort(going_on: GoingOn, facts: Mapping[str, Any]) -> None:
    """Raise DataError where a model might have trained on patients who test now."""
    for key, what in (("cohort", "patients, images or splits"), ("arms", "arms")):
        if facts[key] != going_on.record.get(key):
            raise DataError(
                f"The {what} are others than those of {going_on.folder}: its models can't go on"
                " with them. Restore them, or begin anew."
            )


def lay_arms(
    study: Study, surveys: Mapping[str, SiteSurvey], *, sealed: bool = False
) -> tuple[Arm, ...]:
    """Every arm, for patients with whom all that the study asks for can be done.

    Raises StudyError or DataError where it can't be.
    """
    arms = tuple(lay(study, surveys, sealed=sealed))
    evaluation = study.evaluation
    wanted = {
        "choose": evaluation.choose != "last",
        "follow": evaluation.follow != "none",
        "threshold": evaluation.chooses_threshold,
    }
    for key in (key for key, needs in wanted.items() if needs):
        if not any(survey.patients[VALIDATION] for survey in surveys.values()):
            raise StudyError(
                f'{key} = "{getattr(evaluation, key)}" needs validation patients, but no site has'
                f" one: the share of {study.data.split.validation:g} of each site's patients is"
                " less than half a patient, or the table gives none. Make data.split.validation"
                f" larger, or take {key} out."
            )
    return arms


def _notices(plan: RunPlan) -> Iterator[str]:
    if plan.going_on:
        yield (
            f"Every model goes on from that of {plan.going_on.before.folder}, with"
            f" {counted_rounds(plan.study.recipe.rounds)} of a schedule of their own: no"
            " optimiser's memory, average or importance comes with it."
        )
    yield from map(str, plan.left_out)
    yield from weak_places(
        plan.arms,
        plan.surveys,
        order=plan.study.recipe.order,
        folds=plan.study.data.folds is not None,
    )
    if plan.study.evaluation.chooses_threshold:
        validate = sum(survey.patients[VALIDATION] for survey in plan.surveys.values())
        yield (
            f"Each model's threshold is chosen of {len(CANDIDATES)} by the {validate} validation"
            " patients, who are predicted once more for it."
        )
    if not any(survey.patients[TEST] for survey in plan.surveys.values()):
        pictures = " and no pictures" if plan.study.evaluation.samples else ""
        yield f"No site has a test patient: there will be no test scores{pictures}."

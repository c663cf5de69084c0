"""What a run tells whoever watches it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roundelay.data.survey import SiteSurvey
from roundelay.plan.arms import Arm
from roundelay.plan.progress import Step, Waiting


@dataclass(frozen=True, slots=True)
class Planned:
    """The whole itinerary is known; training begins."""

    arms: tuple[Arm, ...]
    surveys: Mapping[str, SiteSurvey]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArmBegun:
    """An arm begins, or goes on after `steps_done` steps."""

    arm: Arm
    steps_done: int


@dataclass(frozen=True, slots=True)
class ArmDone:
    """An arm's model is written and scored."""

    arm: Arm


@dataclass(frozen=True, slots=True)
class Working:
    """A part of a run begins that may take long and tells nothing before it ends."""

    text: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that the user should know and that stops nothing."""

    text: str


Event = Planned | ArmBegun | ArmDone | Working | Noticed | Step | Waiting

OnEvent = Callable[[Event], None]

"""What a run tells whoever watches it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roundelay.data.survey import SiteSurvey
from roundelay.evaluation.forgetting import Validation
from roundelay.plan.arms import Arm
from roundelay.plan.progress import Step, Waiting
from roundelay.relay.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Planned:
    """The whole itinerary is known; training begins."""

    arms: tuple[Arm, ...]
    surveys: Mapping[str, SiteSurvey]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArmBegun:
    """An arm begins, or goes on after `steps_done` steps; a `finished` one has none to do."""

    arm: Arm
    steps_done: int
    finished: bool = False


@dataclass(frozen=True, slots=True)
class ArmDone:
    """An arm's model is written and scored."""

    arm: Arm


@dataclass(frozen=True, slots=True)
class Visited:
    """A visit stands in the ledger of `arm`; `earlier`: since before this run went on."""

    arm: str
    receipt: Receipt
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Validated:
    """Validation patients were scored after a hand-over of `arm`."""

    arm: str
    validation: Validation
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Working:
    """A part of a run begins that may take long and tells nothing before it ends."""

    text: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that the user should know and that stops nothing."""

    text: str


Event = Planned | ArmBegun | ArmDone | Visited | Validated | Working | Noticed | Step | Waiting

OnEvent = Callable[[Event], None]

"""What a hospital may answer, and tell of its progress: every key, with its range.

What depends on the study (this hospital's own patients, the steps of its stop) is compared where
the answer is taken.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from roundelay.data.survey import SiteSurvey
from roundelay.errors import RefusedError
from roundelay.evaluation.scores import PatientScore
from roundelay.network.wire.inventory import InventoryPart
from roundelay.network.wire.parsing import (
    Count,
    Loss,
    Name,
    Part,
    PublicKeys,
    Said,
    parsed,
    plain,
    shown,
)
from roundelay.network.wire.statements import Proof, SignedSurvey
from roundelay.study.data_section import MOST_REGIONS, Plain

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

Size = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]

Pixels = Annotated[int, Field(ge=0, le=10**15)]

MOST_ROWS = 100_000

ROW_NAME = r"^([A-Za-z0-9_-]{1,63} [1-9][0-9]{0,6}|[1-9][0-9]{0,6} of [A-Za-z0-9_-]{1,63})$"
"""A row is named by its site and a number, or by how many patients it stands for."""


class Introduced(Part):
    """Who a site is: keys, versions, its clock, the days left on its certificate."""

    site: Name
    keys: PublicKeys
    roundelay: Said
    torch: Said
    time: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
    days: Annotated[int, Field(ge=-100_000, le=100_000)] | None


class SurveyReply(SignedSurvey):
    """A site's signed numbers, and where its layout leaves that open which channels it has."""

    site: Name
    inventory: InventoryPart | None = None


class VisitReply(Part):
    """A visit's receipt is within the statement that its site signed."""

    site: Name
    proof: Proof

    @model_validator(mode="after")
    def _with_receipt(self) -> Self:
        if self.proof.statement.receipt is None:
            raise ValueError("the statement holds no receipt")
        return self


class RegionRow(Part):
    """What a row says of the main region, of another one."""

    dice: Share
    hd95: Size
    hd95_missing: Count
    reference_slices: Count
    reference_volume: Size
    predicted_volume: Size
    tp: Pixels
    fp: Pixels
    fn: Pixels
    slice_dice: Share
    slice_dice_of_empty_prediction: Share
    positive_slice_dice: Share | None


RegionRows = Annotated[dict[Plain, RegionRow], Field(max_length=MOST_REGIONS)]


class ScoreRow(Part):
    """The scores of one patient under a number, or of all of a site's patients of a split."""

    patient: Annotated[str, Field(pattern=ROW_NAME)]
    site: Name
    split: Literal["validation", "test"]
    dice: Share
    hd95: Size
    hd95_missing: Count
    slices: Annotated[int, Field(ge=1, le=10**9)]
    reference_slices: Count
    reference_volume: Size
    predicted_volume: Size
    tp: Pixels
    fp: Pixels
    fn: Pixels
    slice_dice: Share
    slice_dice_of_empty_prediction: Share
    positive_slice_dice: Share | None
    unit: Literal["pixels", "mm"]
    patients: Annotated[int, Field(ge=1, le=10**7)]
    attributes: Annotated[dict[str, str], Field(max_length=0)]
    """Nothing that a cohort says of its patients leaves a site."""
    regions: RegionRows = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        number = self.patient.removeprefix(f"{self.site} ")
        one = self.patients == 1 and number.isdecimal()
        if not one and self.patient != f"{self.patients} of {self.site}":
            raise ValueError("the row is not named by its site and a number")
        regions: tuple[ScoreRow | RegionRow, ...] = (self, *self.regions.values())
        for row in regions:
            marked = row.positive_slice_dice is not None
            if (
                row.reference_slices > self.slices
                or row.hd95_missing > self.patients
                or marked != (row.reference_slices > 0)
            ):
                raise ValueError("the counts contradict each other")
        self.score()
        return self

    def score(self) -> PatientScore:
        return PatientScore.from_json(self.model_dump())


class ScoresReply(Part):
    """The rows that a site's policy lets go; none where it keeps them."""

    site: Name
    scores: Annotated[tuple[ScoreRow, ...], Field(max_length=MOST_ROWS)]


class ProgressPart(Part):
    """How far a visit is."""

    step: Annotated[int, Field(ge=0, le=10**10)]
    loss: Loss
    slices_per_second: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


Reply = TypeVar("Reply", bound=Part)


def parsed_reply(model: type[Reply], head: Mapping[str, Any], site: str) -> Reply:
    """A site's answer. Raises RefusedError for anything else than one."""
    own = plain(head)
    if isinstance(own.get("scores"), list):
        own["scores"] = tuple(own["scores"])  # JSON knows no tuples
    return parsed(model, own, f"The answer of {site}")


def checked_scores(
    reply: ScoresReply,
    site: str,
    split: str,
    survey: SiteSurvey,
    regions: tuple[str, ...] = (),
) -> tuple[PatientScore, ...]:
    """The rows as scores. Raises RefusedError for a row of another site or split, two rows under
    one name, and rows that are not for just the patients and slices whose numbers the site signed:
    it may keep all of them, not some. Each row is by the study's further `regions`."""
    rows, patients, slices = reply.scores, survey.patients[split], survey.slices[split]
    if any((row.site, row.split) != (site, split) for row in rows):
        raise RefusedError(f"{site} answered with scores of another site or split.")
    if any(set(row.regions) != set(regions) for row in rows):
        raise RefusedError(f"{site} answered with scores of other regions than the study's.")
    if len({row.patient for row in rows}) < len(rows):
        raise RefusedError(f"{site} answered with two rows for one patient.")
    if rows and sum(row.patients for row in rows) != patients:
        raise RefusedError(f"{site} answered with scores of other patients than its {patients}.")
    if rows and sum(row.slices for row in rows) != slices:
        raise RefusedError(f"{site} answered with scores of other slices than its {slices}.")
    scores = (row.score() for row in rows)
    return tuple(
        replace(one, regions={name: one.regions[name] for name in regions}) for one in scores
    )


def progress_of(message: Mapping[str, Any], steps: int) -> ProgressPart | None:
    """A message of progress within a visit of `steps` steps; None for anything else."""
    try:
        own = {key: message[key] for key in ProgressPart.model_fields}
        found = parsed(ProgressPart, own, "A message of progress")
    except (RefusedError, KeyError):
        return None
    return found if found.step <= steps else None


def inventory_in(head: Mapping[str, Any], site: str) -> InventoryPart | None:
    """What a site says of its exams beside a complaint. Raises RefusedError where that is none."""
    if "inventory" not in head:
        return None
    return parsed(InventoryPart, head["inventory"], f"The answer of {site}")


def complaint(head: Mapping[str, Any]) -> tuple[str, str] | None:
    """``refused``, ``failed`` or ``awaiting``, and the sentence, where a site says so."""
    for key in ("refused", "failed", "awaiting"):
        if key in head:
            said = head[key]
            return key, shown(said if isinstance(said, str) else "it doesn't say why")
    return None

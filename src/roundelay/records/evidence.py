"""The files of a run folder as `verify` looks at them: each read once, all of them doubted."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from roundelay.data.survey import SPLITS, SiteSurvey
from roundelay.errors import LedgerError, RoundelayError, RunFolderError
from roundelay.evaluation.forgetting import Validation
from roundelay.evaluation.scores import PatientScore
from roundelay.files.reading import parse_json
from roundelay.files.regular import plain_bytes
from roundelay.plan.arms import Arm, lay
from roundelay.plan.itinerary import Leg
from roundelay.records.arm import read_legs, read_validations
from roundelay.records.claims import CantBeChecked
from roundelay.records.layout import (
    CLOSING,
    PAIRED,
    SCORES,
    SUMMARY,
    arm_folder,
    read_record,
    study_of,
)
from roundelay.records.thresholds import THRESHOLDS, ThresholdChoice, read_thresholds
from roundelay.relay.chain import Chain, read_chain
from roundelay.study.study import Study

Found = TypeVar("Found")

OLDER = "the run was begun by an older version, which noted nothing of it"


def needed(read: Callable[[], Found], what: str) -> Found:
    """What another claim answers for. Raises CantBeChecked where it can't be had."""
    try:
        return read()
    except CantBeChecked:
        raise
    except Exception as error:
        raise CantBeChecked(f"{what} can't be read") from error


@dataclass(frozen=True)
class RunEvidence:
    """A run folder. Raises RunFolderError where `record` can't be read: then it is none."""

    out: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """run.json, with the keys that all else needs."""
        record = read_record(self.out)
        arms = record.get("arms") if isinstance(record, dict) else None
        if not (isinstance(arms, list) and arms and all(isinstance(one, str) for one in arms)):
            raise RunFolderError(f"{self.out / 'run.json'} names no arms: it was changed.")
        return record

    @property
    def older(self) -> bool:
        """Whether a version began it that closed no ledgers."""
        return "format" not in self.record and not self._has_what_came_later

    @property
    def judges_pairs(self) -> bool:
        """Whether a version began it that judges equal seeds of two methods as pairs."""
        return bool(self.record.get("format", 0) >= PAIRED)

    @cached_property
    def _has_what_came_later(self) -> bool:
        """Whether there is anything that only a version with a format writes."""
        signed = "survey_signatures" in (self.network or {})
        labels = self.record["arms"]
        return (
            signed
            or (self.out / CLOSING).exists()
            or any(self.arm(label).closes_by_a_line for label in labels)
        )

    @property
    def finished(self) -> bool:
        return any((self.out / name).exists() for name in (SUMMARY, CLOSING))

    @property
    def network(self) -> dict[str, Any] | None:
        found = self.record.get("network")
        return found if found is None or isinstance(found, dict) else {}

    @cached_property
    def study(self) -> Study:
        """The study. Raises CantBeChecked where another version wrote it."""
        try:
            study = study_of(self.out)
        except RoundelayError as error:
            if self.older:
                raise CantBeChecked("an older version wrote study.toml otherwise") from error
            raise LedgerError(str(error)) from error
        return study

    @cached_property
    def surveys(self) -> dict[str, SiteSurvey]:
        """The numbers of the sites, in the order in which they are given."""
        found = {}
        for one in self.record["sites"]:
            survey = SiteSurvey(**one)
            for counts in (survey.patients, survey.slices, survey.tumour_slices):
                if set(counts) != set(SPLITS) or not all(type(n) is int for n in counts.values()):
                    raise LedgerError(f"The numbers of {survey.site} in run.json are none.")
            found[survey.site] = survey
        return found

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """Every arm that study and numbers give, by label."""
        sealed = self.network is not None and self.network.get("seal") != "none"
        laid = lay(self.known_study, self.known_surveys, sealed=sealed)
        return {arm.label: arm for arm in laid}

    @property
    def known_study(self) -> Study:
        return needed(lambda: self.study, "study.toml")

    @property
    def known_surveys(self) -> dict[str, SiteSurvey]:
        return needed(lambda: self.surveys, "what run.json says of the sites")

    @property
    def known_arms(self) -> dict[str, Arm]:
        return needed(lambda: self.arms, "study.toml, or what run.json says of the sites,")

    def arm(self, label: str) -> "ArmEvidence":
        return ArmEvidence(self, label, arm_folder(self.out, label))


@dataclass(frozen=True)
class ArmEvidence:
    """An arm's folder."""

    run: RunEvidence
    label: str
    place: Path

    @property
    def there(self) -> bool:
        try:
            return (self.place / "ledger.jsonl").exists()
        except OSError:  # a name that is longer than names can be
            return False

    @property
    def done(self) -> bool:
        """Whether the arm says of itself that it is finished."""
        return (self.place / SCORES).exists() or self.run.finished or self.closes_by_a_line

    @property
    def closes_by_a_line(self) -> bool:
        try:
            return self.chain.closing is not None
        except (LedgerError, OSError):
            return False

    @cached_property
    def chain(self) -> Chain:
        return read_chain(self.place / "ledger.jsonl")

    @cached_property
    def legs(self) -> tuple[Leg, ...]:
        return read_legs(self.place)

    @property
    def known_chain(self) -> Chain:
        return needed(lambda: self.chain, f"the ledger of {self.label}")

    @property
    def known_legs(self) -> tuple[Leg, ...]:
        return needed(lambda: self.legs, f"the itinerary of {self.label}")

    @property
    def known_choice(self) -> int:
        return needed(lambda: self.chosen_leg, f"the choice of {self.label}")

    @property
    def known_scores(self) -> tuple[PatientScore, ...]:
        return needed(lambda: self.scores, f"what {self.label} scored")

    @cached_property
    def finished_chain(self) -> Chain:
        """The ledger of an arm that is finished. Raises CantBeChecked where it isn't."""
        self.must_be_done()
        return self.known_chain

    def must_be_done(self) -> None:
        if not self.done:
            raise CantBeChecked("the arm isn't finished")

    @cached_property
    def _end(self) -> dict[str, Any]:
        path = self.place / SCORES
        try:
            values: dict[str, Any] = parse_json(plain_bytes(path))
        except OSError as error:
            raise LedgerError(f"{path} can't be read: {error.strerror}.") from error
        return values

    @cached_property
    def scores(self) -> tuple[PatientScore, ...]:
        """Every patient's scores. Raises CantBeChecked where an older version wrote them."""
        self.must_be_done()
        try:
            return tuple(map(PatientScore.from_json, self._end["scores"]))
        except TypeError as error:
            if self.run.older:
                raise CantBeChecked("an older version wrote scores.json otherwise") from error
            raise

    @cached_property
    def chosen_leg(self) -> int:
        """The hand-over, from 0, whose model is taken."""
        self.must_be_done()
        chosen = self._end["chosen_leg"]
        if type(chosen) is not int or not 0 <= chosen < len(self.finished_chain.legs):
            raise LedgerError(f"{self.place / SCORES} names hand-over {chosen!r}, which isn't one.")
        return chosen

    @cached_property
    def thresholds(self) -> ThresholdChoice | None:
        """What chose the model's thresholds. Raises LedgerError where it is there without need,
        or isn't."""
        self.must_be_done()
        found, wanted = read_thresholds(self.place), self.run.known_study.evaluation
        if (found is not None) != wanted.chooses_threshold:
            raise LedgerError(
                f"{self.place / THRESHOLDS} is {'missing' if found is None else 'there'}, but the"
                f" study has threshold = {wanted.threshold!r}."
            )
        return found

    @property
    def known_thresholds(self) -> ThresholdChoice | None:
        return needed(lambda: self.thresholds, f"what chose the thresholds of {self.label}")

    @cached_property
    def validations(self) -> list[Validation]:
        return read_validations(self.place)

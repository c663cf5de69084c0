"""What the runs of all folds will do, known before the first of them trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from roundelay.data.left_out import LeftOut
from roundelay.data.survey import TEST, TRAIN, SiteSurvey
from roundelay.errors import DataError, RunFolderError, StudyError, UserError
from roundelay.files.places import refuse_place
from roundelay.learning.machine import Machine
from roundelay.learning.process import computing
from roundelay.plan.arms import Arm
from roundelay.plan.cost import check_room, room_needed
from roundelay.plan.exposure import weak_places
from roundelay.records.folds import fold_folder
from roundelay.records.layout import RECORD, is_finished, read_record
from roundelay.records.several import FOLDS, refuse_other_kind
from roundelay.running.run_plan import lay_arms
from roundelay.running.starting import machine_for, start_baton
from roundelay.site.folds import survey_folds
from roundelay.study.study import Study


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """One fold: its own study, sites' numbers and arms; bytes that its run writes."""

    fold: int
    study: Study
    surveys: dict[str, SiteSurvey]
    arms: tuple[Arm, ...]
    room: int


@dataclass(frozen=True, slots=True)
class FoldsPlan:
    """All folds of a study of which nothing is left to refuse."""

    study: Study
    folds: tuple[FoldPlan, ...]
    machine: Machine
    left_out: tuple[LeftOut, ...]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Those of all folds."""
        return tuple(arm for one in self.folds for arm in one.arms)

    @property
    def room(self) -> int:
        """Bytes that all runs write."""
        return sum(one.room for one in self.folds)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know before training begins, each said once."""
        weak = (
            text
            for one in self.folds
            for text in weak_places(one.arms, one.surveys, order=one.study.recipe.order, folds=True)
        )
        return tuple(dict.fromkeys([*map(str, self.left_out), *self.small_sites, *weak]))

    @property
    def small_sites(self) -> tuple[str, ...]:
        """A sentence for each site with patients for some folds only."""
        return tuple(_small_sites(self.folds))


def _small_sites(folds: tuple[FoldPlan, ...]) -> Iterator[str]:
    for site, survey in folds[0].surveys.items():
        tests = sum(one.surveys[site].patients[TEST] > 0 for one in folds)
        away = [one.fold for one in folds if not one.surveys[site].patients[TRAIN]]
        if tests == len(folds):
            continue
        count = sum(survey.patients.values())
        text = (
            f"{site} has {count} patient{'s' * (count > 1)}, too few for {len(folds)} folds: it"
            f" tests in {tests} of them."
        )
        if away:
            text += (
                f" In fold {away[0]} nobody is left to train there: that fold's models never visit"
                f" {site}, and it has no local model."
            )
        yield text


@contextmanager
def prepared_folds(
    study: Study, out: Path, *, resume: bool = False, device: str = "auto"
) -> Iterator[FoldsPlan]:
    """Look at folder, patients, sites, first weights, arms of all folds and the disk; write
    nothing.

    Threads and deterministic mode are the study's until the context is left. Raises UserError where
    the user can mend it: what a later fold would be refused for is not to be found out after others
    were trained.
    """
    if not study.data.folds:
        raise StudyError("The study names no folds: write folds = 5 into [data].")
    refuse_place(out, images=study.data.root)
    refuse_other_kind(out, FOLDS)
    if not resume and out.exists() and any(out.iterdir()):
        raise RunFolderError(
            f"{out} isn't empty. Go on with it by --resume, or choose another --out."
        )
    with computing(study.courier.threads, deterministic=study.recipe.deterministic):
        begun = fold_folder(out, 1)
        record = read_record(begun) if (begun / RECORD).exists() else None
        plan = _laid(study, machine_for(study, record, device))
        _check_room(plan, out)
        yield plan


def _laid(study: Study, machine: Machine) -> FoldsPlan:
    found = survey_folds(study)
    weights = len(start_baton(study, study.seeds[0]).data)
    folds = []
    for fold, surveys in enumerate(found.folds, start=1):
        own = study.of_fold(fold)
        try:
            arms = lay_arms(own, surveys)
        except UserError as error:
            raise type(error)(f"In fold {fold}: {error}") from error
        if not any(survey.patients[TEST] for survey in surveys.values()):
            raise DataError(
                f"In fold {fold} of {study.data.folds} no patient tests: the sites have too few."
                " Take fewer folds."
            )
        room = room_needed(own, arms, weights, between_hospitals=False)
        folds.append(FoldPlan(fold, own, surveys, arms, room))
    return FoldsPlan(study, tuple(folds), machine, found.left_out)


def _check_room(plan: FoldsPlan, out: Path) -> None:
    """Raises DiskFullError where the folds that aren't finished don't fit on the disk."""
    places = {one.fold: fold_folder(out, one.fold) for one in plan.folds}
    left = [
        one
        for one in plan.folds
        if not ((places[one.fold] / RECORD).exists() and is_finished(places[one.fold]))
    ]
    if left:
        runs = [places[one.fold] for one in left]
        check_room(out, sum(one.room for one in left), runs=runs)

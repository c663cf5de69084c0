"""The runs of all folds taken together: every patient scored by models that never saw them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from roundelay.data.survey import TEST
from roundelay.data.tables import write_table
from roundelay.evaluation.cross_validation import AcrossFolds, across_folds
from roundelay.files.writing import write_json, write_text
from roundelay.records.closing import head_of_run
from roundelay.records.contents import ArmRun, Run, read_run
from roundelay.records.layout import PATIENTS, RECORD, SUMMARY, is_finished, study_of
from roundelay.records.result import result_of
from roundelay.study.study import Study


def fold_folder(out: Path, fold: int) -> Path:
    """The run folder of a fold, counted from 1."""
    return out / f"fold-{fold}"


@dataclass(frozen=True)
class CrossValidation:
    """The finished folds of a study; `study` names all of them, `runs` are by fold from 1 on."""

    folder: Path
    study: Study
    runs: Mapping[int, Run]

    @property
    def count(self) -> int:
        """How many folds the study has."""
        return self.study.data.folds or 0

    @property
    def finished(self) -> bool:
        return len(self.runs) == self.count

    @property
    def to_come(self) -> tuple[int, ...]:
        """The folds that aren't finished yet."""
        return tuple(fold for fold in range(1, self.count + 1) if fold not in self.runs)

    @cached_property
    def combined(self) -> Run:
        """One run whose arms have every fold's test patients. Needs a finished fold."""
        arms: dict[str, ArmRun] = {}
        for run in self.runs.values():
            for arm in run.arms:
                scores = tuple(score for score in arm.every_score if score.split == TEST)
                before = arms.get(arm.label, replace(arm, scores=(), validations=()))
                arms[arm.label] = replace(before, scores=before.scores + scores)
        problems = tuple(f"Fold {k}: {p}" for k, run in self.runs.items() for p in run.problems)
        order = {
            label: n for run in self.runs.values() for n, label in enumerate(run.record["arms"])
        }
        return replace(
            next(iter(self.runs.values())),
            arms=tuple(sorted(arms.values(), key=lambda arm: order[arm.label])),
            problems=problems,
            split=TEST,
            samples=(),
            finished=True,
        )

    @cached_property
    def methods(self) -> tuple[AcrossFolds, ...]:
        """Every method over the finished folds, in the order of the study."""
        if not self.runs:
            return ()
        judged = self.combined.judgement
        scores = [arm.as_scores() for arm in self.combined.arms]
        return tuple(across_folds(one, scores, self.fold_of) for one in judged.methods)

    @cached_property
    def fold_of(self) -> dict[str, int]:
        """The fold in which each patient tests."""
        return {
            score.patient: fold
            for fold, run in self.runs.items()
            for arm in run.arms
            for score in arm.every_score
            if score.split == TEST
        }

    def as_json(self) -> dict[str, Any]:
        """What summary.json of the outer folder holds."""
        judged = self.combined.judgement.as_json()
        rows = zip(judged["methods"], self.methods, strict=True)
        return {
            "name": self.study.name,
            "study": self.study.digest,
            "synthetic": self.combined.synthetic,
            "folds": [
                {
                    "fold": fold,
                    "folder": fold_folder(Path(), fold).name,
                    "study": run.record["study"],
                    "head": head_of_run(run.folder),
                    "test_patients": {
                        site["site"]: site["patients"][TEST] for site in run.record["sites"]
                    },
                }
                for fold, run in self.runs.items()
            ],
            "methods": [row | one.as_json() for row, one in rows],
            "comparisons": judged["comparisons"],
            "groups": judged["groups"],
        }

    def rows(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of patients.csv: those of every fold's test patients, the fold first."""
        columns: dict[str, None] = {"fold": None}
        found: list[dict[str, Any]] = []
        for fold, run in self.runs.items():
            names, rows = result_of(run).rows()
            columns |= dict.fromkeys(names)
            own = [{"fold": fold, **dict(zip(names, row, strict=True))} for row in rows]
            found += [row for row in own if row["split"] == TEST]
        return list(columns), [[row.get(name, "") for name in columns] for row in found]


def study_of_folds(out: Path) -> Study | None:
    """The study of which the folds in a folder are runs; None where it is no such folder."""
    folds = sorted(out.glob(f"fold-*/{RECORD}"))
    if (out / RECORD).exists() or not folds:
        return None
    study = study_of(folds[0].parent)
    return study.of_fold(None) if study.data.folds else None


def read_folds(out: Path, study: Study, *, verified: bool = True) -> CrossValidation:
    """The finished folds of `study` in a folder. Raises RunFolderError where one can't be read."""
    places = {fold: fold_folder(out, fold) for fold in range(1, (study.data.folds or 0) + 1)}
    runs = {
        fold: read_run(place, verified=verified)
        for fold, place in places.items()
        if (place / RECORD).exists() and is_finished(place)
    }
    return CrossValidation(out, study.of_fold(None), runs)


def write_folds(found: CrossValidation) -> None:
    """Write patients.csv, then summary.json: the last files of a cross-validation."""
    write_text(found.folder / PATIENTS, write_table(*found.rows()))
    write_json(found.folder / SUMMARY, found.as_json())

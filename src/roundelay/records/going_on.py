"""A run that goes on from the models of a finished one: what it records, and how that is proven."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy
from pydantic import BaseModel, TypeAdapter, ValidationError

from roundelay.errors import LedgerError, RunFolderError, StudyError
from roundelay.files.regular import plain_bytes
from roundelay.records.closing import head_of_run
from roundelay.records.layout import MODEL, RECORD, SEALED_MODEL, arm_folder, read_record, study_of
from roundelay.relay.baton import Baton, join
from roundelay.relay.chain import Digest, read_chain
from roundelay.study.study import Study

GOES_ON = "goes_on_from"
"""In run.json."""

MOST = 10_000
"""Rounds of a study."""


def counted_rounds(rounds: int) -> str:
    """So many rounds, in words."""
    return f"{rounds:,} round{'s' * (rounds > 1)}"


class ArmBefore(BaseModel):
    """An arm that is gone on with: the head of its ledger, its model's file, and the baton that the
    model's weights make."""

    ledger: Digest
    model: Digest
    start: Digest
    slice_visits: int


class RunBefore(BaseModel):
    """What run.json says of the run that it goes on from; `folder` is its name, not its place."""

    folder: str
    head: Digest
    study: Digest
    rounds: int
    arms: dict[str, ArmBefore]


@dataclass(frozen=True)
class GoingOn:
    """A finished run whose models are the first weights of another one."""

    folder: Path
    before: RunBefore
    record: Mapping[str, Any]

    def start(self, label: str) -> Baton:
        """The first weights of an arm. Raises LedgerError where the model is another one by now."""
        known = self.before.arms[label]
        baton = start_of(self.folder, label)
        if baton.digest != known.start:
            raise LedgerError(f"The model of {label} in {self.folder} changed in the meantime.")
        return baton


def study_of_more(going_on: GoingOn, rounds: int) -> Study:
    """The study of a finished run as it goes on: so many rounds of a schedule of their own, from
    its models. Raises StudyError for a number of rounds that no study has."""
    if not 1 <= rounds <= MOST:
        raise StudyError(f"{rounds} more rounds can't be run: give a number from 1 to {MOST:,}.")
    study = study_of(going_on.folder)
    model = study.model.model_copy(update={GOES_ON: going_on.before.head})
    recipe = study.recipe.model_copy(update={"rounds": rounds})
    return study.model_copy(update={"model": model, "recipe": recipe})


def finished_run(folder: Path) -> GoingOn:
    """A finished run to go on from. Raises RunFolderError where it can't be gone on with."""
    if any(folder.glob(f"*/{RECORD}")) and not (folder / RECORD).exists():
        raise RunFolderError(
            f"{folder} holds several runs, whose models are for scoring. Give one run's folder."
        )
    record, study = read_record(folder), study_of(folder)
    if "network" in record:
        raise RunFolderError(
            f"{folder} was run between hospitals: its images aren't here, and each hospital would"
            " have to approve more rounds. Submit a study of more rounds instead."
        )
    if "swt" in study.arms:
        raise RunFolderError(
            f"{folder} has the arm swt, in which the model meets every hospital once: more rounds"
            " would make it cwt. Go on from a run without it."
        )
    if (head := head_of_run(folder)) is None:
        raise RunFolderError(
            f"{folder} isn't finished, or an earlier version ended it. End it first,  roundelay run"
            f" STUDY --out {folder} --resume."
        )
    return GoingOn(folder, _before(folder, record, study, head), record)


def _before(folder: Path, record: Mapping[str, Any], study: Study, head: str) -> RunBefore:
    arms = {label: _arm_before(folder, label) for label in record["arms"]}
    name = folder.resolve().name
    return RunBefore(
        folder=name, head=head, study=study.digest, rounds=study.recipe.rounds, arms=arms
    )


def _arm_before(folder: Path, label: str) -> ArmBefore:
    place = arm_folder(folder, label)
    chain = read_chain(place / "ledger.jsonl")
    receipts = [receipt for line in chain.legs for receipt in line["receipts"]]
    return ArmBefore(
        ledger=chain.head,
        model=hashlib.sha256(_model_bytes(folder, label)).hexdigest(),
        start=start_of(folder, label).digest,
        slice_visits=sum(r["slice_visits"] for r in receipts if r["task"] == "train"),
    )


def start_of(folder: Path, label: str) -> Baton:
    """The weights of a finished arm's model as a baton. Raises LedgerError."""
    try:
        arrays = safetensors.numpy.load(_model_bytes(folder, label))
        return join(study_of(folder).recipe.wire, model=arrays)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise LedgerError(f"The model of {label} in {folder} can't be read ({error}).") from error


def _model_bytes(folder: Path, label: str) -> bytes:
    place = arm_folder(folder, label)
    if (place / SEALED_MODEL).exists():
        raise RunFolderError(f"{place / SEALED_MODEL} is sealed: nothing here can go on from it.")
    try:
        return plain_bytes(place / MODEL)
    except OSError as error:
        raise LedgerError(f"{place / MODEL} can't be read: {error.strerror}.") from error


def run_before(record: Mapping[str, Any]) -> RunBefore | None:
    """What a run's record says of the run that it goes on from; None where it begins anew. Raises
    LedgerError where that can't be read."""
    if GOES_ON not in record:
        return None
    try:
        return TypeAdapter(RunBefore).validate_python(record[GOES_ON])
    except ValidationError as error:
        raise LedgerError(f"run.json says otherwise under {GOES_ON} than any run does.") from error

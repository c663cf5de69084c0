"""What a finished run comes to, as values: what summary.json holds and `roundelay.run` returns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roundelay.data.left_out import LeftOut
from roundelay.data.survey import TEST, VALIDATION
from roundelay.data.tables import write_table
from roundelay.errors import MissingExtraError
from roundelay.evaluation.judgement import Judgement
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.summary import Summary, summarize
from roundelay.files.writing import write_json, write_text
from roundelay.records.contents import ArmRun, Run
from roundelay.records.layout import SUMMARY

OWN = [name for name in PatientScore.__slots__ if name not in ("attributes", "regions")]

IN_TABLE = (
    "dice", "hd95", "hd95_missing", "reference_volume", "predicted_volume", "tp", "fp", "fn",
)  # fmt: skip
"""What the table says of each region beside the main one."""


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One model: its place in the study, what it took, its digests and its scores.

    `seconds` are of work at all sites together; `head` is the digest of the ledger's last line;
    `test` and `validation` are None where no patient was scored; `thresholds` has those of the
    regions that validation patients chose, None where the study gives one.
    """

    label: str
    arm: str
    seed: int
    site: str | None
    order: str | None
    slice_visits: int
    legs: int
    chosen_leg: int | None
    bytes_passed: int | None
    bytes_planned: int | None
    seconds: float
    head: str
    model: str
    test: Summary | None
    validation: Summary | None
    thresholds: Mapping[str, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """A row of summary.json; nothing is said of thresholds that nobody chose."""
        scored = {"test": self.test, "validation": self.validation}
        values = {**asdict(self), **{key: one and one.as_json() for key, one in scored.items()}}
        if self.thresholds is None:
            del values["thresholds"]
        return values


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run; `scores` by the label of the arm, validation patients first; `left_out` says
    what was left out of the folder of patients, or noticed there."""

    folder: Path
    name: str
    study: str
    synthetic: bool
    arms: tuple[ArmResult, ...]
    judgement: Judgement
    scores: dict[str, tuple[PatientScore, ...]]
    left_out: tuple[LeftOut, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What summary.json holds."""
        return {
            "name": self.name,
            "study": self.study,
            "synthetic": self.synthetic,
            "left_out": [one.as_json() for one in self.left_out],
            "arms": [arm.as_json() for arm in self.arms],
            **self.judgement.as_json(),
        }

    def rows(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of patients.csv: a row a patient, arm and seed; attributes last."""
        known: dict[str, None] = {}
        named: dict[str, None] = dict.fromkeys(OWN)
        marked: dict[tuple[str, str], None] = {}
        found: list[tuple[list[Any], dict[str, str]]] = []
        for arm in self.arms:
            for score in self.scores[arm.label]:
                values = score.as_json()
                attributes = values.pop("attributes")
                regions = values.pop("regions", {})
                further = {(n, key): one[key] for n, one in regions.items() for key in IN_TABLE}
                named.update(dict.fromkeys(values))
                marked.update(dict.fromkeys(further))
                known.update(dict.fromkeys(attributes))
                own = [arm.arm, arm.seed, arm.order or "", arm.site or ""]
                found.append(([*own, *values.values(), *further.values()], attributes))
        columns = ["arm", "seed", "order", "model_site", *named]
        columns = _told_apart(columns, (f"{name}_{key}" for name, key in marked), "region")
        columns = _told_apart(columns, known, "attribute")
        return columns, [[*row, *(more.get(name, "") for name in known)] for row, more in found]

    def to_frame(self) -> Any:
        """`rows` as a pandas DataFrame. Raises MissingExtraError where pandas isn't installed."""
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("A table as a pandas DataFrame", "pandas") from error
        columns, rows = self.rows()
        return pandas.DataFrame(rows, columns=columns)


def _told_apart(ours: Sequence[str], theirs: Iterable[str], what: str) -> list[str]:
    """The columns of a table: a further one that is called as a column before it, in any case, is
    called `what` it is too."""
    columns = list(ours)
    for name in theirs:
        taken = {column.casefold() for column in columns}
        while name.casefold() in taken:
            name = f"{what}_{name}"
        columns.append(name)
    return columns


def result_of(run: Run) -> RunResult:
    """The result of a run whose arms are all done."""
    return RunResult(
        folder=run.folder,
        name=run.study.name,
        study=run.study.digest,
        synthetic=run.synthetic,
        arms=tuple(_arm_result(run, arm) for arm in run.arms),
        judgement=run.judgement,
        scores={arm.label: arm.every_score for arm in run.arms},
        left_out=tuple(LeftOut.from_json(one) for one in run.record.get("left_out", ())),
    )


def _arm_result(run: Run, arm: ArmRun) -> ArmResult:
    stops = [stop for leg in arm.legs for stop in leg.stops]
    return ArmResult(
        label=arm.label,
        arm=arm.name,
        seed=arm.seed,
        site=arm.site,
        order=arm.order,
        slice_visits=sum(stop.slice_visits for stop in stops if stop.task == "train"),
        legs=len(arm.legs),
        chosen_leg=arm.chosen_leg,
        bytes_passed=arm.bytes_passed,
        bytes_planned=arm.bytes_planned(run.study),
        seconds=round(arm.seconds, 3),
        head=arm.head,
        model=arm.model_digest,
        test=_summary(arm.every_score, TEST),
        validation=_summary(arm.every_score, VALIDATION),
        thresholds=dict(arm.thresholds.chosen) if arm.thresholds else None,
    )


def _summary(scores: Sequence[PatientScore], split: str) -> Summary | None:
    own = [score for score in scores if score.split == split]
    return summarize(own) if own else None


def write_result(result: RunResult) -> None:
    """Write patients.csv, then summary.json: the last files of a run."""
    write_text(result.folder / "patients.csv", write_table(*result.rows()))
    write_json(result.folder / SUMMARY, result.as_json())

"""The run folder: its files, how it is begun, locked and found again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

from roundelay.errors import LedgerError, LockHeldError, RunFolderError, StudyError
from roundelay.files.canonical import digest_of
from roundelay.files.locks import take_lock
from roundelay.files.places import refuse_place
from roundelay.files.reading import read_bytes, read_json
from roundelay.files.writing import write_json, write_text
from roundelay.learning.weights_source import WeightsSource
from roundelay.plan.arms import Arm
from roundelay.plan.itinerary import as_json
from roundelay.study.file import read_study, to_toml
from roundelay.study.names import file_name
from roundelay.study.sections import Absent, Seal
from roundelay.study.study import Study

RECORD, STUDY, SUMMARY, SCORES = "run.json", "study.toml", "summary.json", "scores.json"
PATIENTS, CLOSING = "patients.csv", "closing.json"

ARMS, LEDGER = "arms", "ledger.jsonl"

MODEL, SEALED_MODEL = "model.safetensors", "model.sealed"
REPORT, FIGURES, STAYING = "report.html", "figures", "sites"
LOG, METRICS = "log.txt", "metrics.jsonl"
SAMPLES = Path("samples", "samples.json")
"""The list of what the pictures show: written after them."""

LOCK = ".lock"


class _Counts(BaseModel):
    """Numbers by split: all three of them."""

    train: int
    validation: int
    test: int


class _LeftOut(BaseModel, extra="forbid"):
    """What run.json says of one reason for which exams were left out."""

    reason: str
    count: int
    example: str


class _Machine(BaseModel):
    """What run.json says of the machine."""

    device: str = ""
    bfloat16: bool = False


class _Network(BaseModel):
    """What a report tells of a network; `verify` and `--resume` look at the rest."""

    seal: Seal = "none"
    absent: Absent = "wait"


class _Site(BaseModel):
    """What run.json records of a site: its survey."""

    site: str
    patients: _Counts
    slices: _Counts
    tumour_slices: _Counts
    digest: str


class _Record(BaseModel):
    """What must stand in run.json, and of which kind the rest is."""

    format: Annotated[int, Field(strict=True)] = 0
    study: str
    synthetic: bool
    arms: list[str]
    sites: list[_Site]
    left_out: list[_LeftOut] = []
    cohort: str = ""
    roundelay: str = ""
    torch: str = ""
    python: str = ""
    threads: int = 1
    machine: _Machine = _Machine()
    network: _Network = _Network()
    weights: WeightsSource | None = None


RECORDED = TypeAdapter(_Record)
FORMAT = 3
"""Of the folder, in run.json, which named none at first. From 2 on ledgers and runs have a last
line, from 3 on equal seeds of two methods are judged as pairs."""
CLOSED, PAIRED = 2, 3

SAME = ("study", "cohort", "threads", "network", "synthetic")
"""What a resumed run must have in common with its beginning, to give the same bytes."""


def open_run(study: Study, out: Path, *, resume: bool) -> dict[str, Any] | None:
    """What the folder records of a run to go on with, or None for a new run; writes nothing.

    Raises RunFolderError where `out` holds something else, or a run of another study. Where nothing
    is there to `resume`, a run begins.
    """
    refuse_place(out, images=study.data.root)
    begun = (out / RECORD).exists()
    if not resume or not begun:
        if out.exists() and not all(_left_by_a_beginning(p, study) for p in out.iterdir()):
            hint = " Go on with it by --resume, or choose" if begun else " Choose"
            raise RunFolderError(f"The folder {out} isn't empty.{hint} another --out.")
        return None
    record = read_record(out)
    if record["study"] != study.digest:
        raise RunFolderError(
            f"{out} was begun with another study ({_differences(study, out)}), by Roundelay"
            f" {record.get('roundelay', '?')} with PyTorch {record.get('torch', '?')}.\n"
            f"Resume it with its own study ({out / STUDY}), or choose another --out."
        )
    return record


def _left_by_a_beginning(path: Path, study: Study) -> bool:
    """Whether a beginning of this study that was cut off, before its record stood, left `path`."""
    if path.name == STUDY:
        return read_bytes(path, RunFolderError).startswith(_heading(study).encode())
    return path.name.startswith(LOCK) or path.name.endswith(".tmp")


def _heading(study: Study) -> str:
    return f"# digest {study.digest}\n"


def read_record(out: Path) -> dict[str, Any]:
    """run.json. Raises RunFolderError where there is none."""
    try:
        record: dict[str, Any] = read_json(out / RECORD, RECORDED, RunFolderError)
    except RunFolderError as error:
        raise RunFolderError(f"{out} is not a run of Roundelay: {error}") from error
    return record


def study_of(out: Path) -> Study:
    """The study that a run was begun with. Raises RunFolderError where it can't be read today."""
    try:
        return read_study(out / STUDY)
    except StudyError as error:
        raise RunFolderError(
            f"The study that {out} was begun with can't be read: it was changed, or written by"
            " another version of Roundelay, which can go on with it and report it.\n"
            f"{error}\nIts ledgers can be checked here:  roundelay ledger verify {out}"
        ) from error


def begin_run(
    study: Study, out: Path, record: Mapping[str, Any] | None, facts: Mapping[str, Any]
) -> None:
    """Write study and record of a new run; check those of a resumed one."""
    if record is not None:
        for key in SAME:
            then, now = record.get(key), facts.get(key)
            if then != now:
                mend = f"Write threads = {then} into [courier] of the study" * (key == "threads")
                raise RunFolderError(
                    f"The {key} of {out} changed since the run began"
                    f" ({_short(then)} then, {_short(now)} now): it can't be resumed"
                    f" to the same bytes. {mend or 'Restore it'}, or choose another --out."
                )
        return
    write_text(out / STUDY, f"{_heading(study)}\n{to_toml(study)}")
    write_json(out / RECORD, facts)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep a second process out of the folder. Raises RunFolderError where one is at work."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        lock = take_lock(out / LOCK, wait=False)
    except LockHeldError as error:
        busy = f"Another process is running in {out}. Wait for it to end."
        raise RunFolderError(str(error) if error.left else busy) from error
    with lock:
        yield


def arm_folder(out: Path, label: str) -> Path:
    """The folder of an arm: one of its own below `out`, whatever its label holds."""
    return out / ARMS / file_name(label)


def arm_folders(out: Path) -> dict[str, Path]:
    """By label, the folders of all arms that have begun, of those that run.json names.

    Raises LedgerError where there is none, RunFolderError where `out` is no run.
    """
    places = {label: arm_folder(out, label) for label in read_record(out)["arms"]}
    begun = {label: place for label, place in places.items() if (place / LEDGER).exists()}
    if not begun:
        raise LedgerError(f"{out} holds no ledger ({ARMS}/*/{LEDGER}). Give a run folder.")
    return begun


def is_begun(out: Path) -> bool:
    """Whether anything lies there, be it what a beginning that was cut off left."""
    return out.is_dir() and any(out.iterdir())


def is_finished(out: Path) -> bool:
    """Whether a run came to its end; one of an earlier version ends in summary.json."""
    last = CLOSING if read_record(out).get("format", 0) >= CLOSED else SUMMARY
    return (out / SUMMARY).exists() and (out / last).exists()


def begin_arm(out: Path, arm: Arm) -> Path:
    """The arm's folder, with its itinerary written before training begins."""
    place = arm_folder(out, arm.label)
    if not (place / "itinerary.json").exists():
        write_json(place / "itinerary.json", as_json(arm.legs))
    return place


def _differences(study: Study, out: Path) -> str:
    now, then = study.model_dump(mode="json"), study_of(out).model_dump(mode="json")
    found = [
        f"{key}.{name}" if isinstance(value, dict) else key
        for key, value in now.items()
        if key != "courier"
        for name in (value | then[key] if isinstance(value, dict) else [key])
        if (
            value.get(name) != then[key].get(name)
            if isinstance(value, dict)
            else value != then[key]
        )
        and (key, name) != ("data", "root")
    ]
    return "other " + ", ".join(found)


def _short(value: Any) -> str:
    return str(value)[:12] if isinstance(value, str | int) else digest_of(value)[:12]

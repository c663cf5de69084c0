"""The folder that predictions go into: which patients stand in it whole, and whose work it is."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roundelay.data.formats.known import FORMATS
from roundelay.data.formats.places import PREDICTION
from roundelay.data.patients import Patient
from roundelay.errors import RunFolderError
from roundelay.files.folders import clear_unfinished
from roundelay.files.regular import plain_bytes
from roundelay.files.writing import write_json
from roundelay.records.layout import locked


def refuse_foreign(out: Path) -> None:
    """Raise RunFolderError where `out` holds anything but predictions to go on with."""
    out = out.resolve()  # the place behind a ``..``, also of a folder that isn't there yet
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not _is_ours(out):
        raise RunFolderError(f"The folder {out} isn't empty. Choose another --out.")


def _is_ours(out: Path) -> bool:
    return out.is_dir() and (
        (out / PREDICTION).is_file()
        or all(path.name.startswith(".lock") or path.suffix == ".tmp" for path in out.iterdir())
    )


@contextmanager
def predictions(
    out: Path, patients: Sequence[Patient], made_by: Mapping[str, Any]
) -> Iterator[frozenset[str]]:
    """The folder, held by this process; the patients' folders that stand in it finished.

    `made_by` says what masks depend on beside the patients; all of it is recorded before the first
    is written. Raises RunFolderError, with nothing changed, where what is there was made by
    something else or of other patients, or isn't whole.
    """
    record = {**made_by, "patients": {patient.folder: patient.digest for patient in patients}}
    _refuse_others(out, record)
    finished = frozenset(patient.folder for patient in patients if _is_finished(out, patient))
    with locked(out):
        clear_unfinished(out)
        write_json(out / PREDICTION, record)
        yield finished


def _refuse_others(out: Path, record: Mapping[str, Any]) -> None:
    path = out / PREDICTION
    if not path.exists():
        return
    try:
        then = json.loads(plain_bytes(path))
        different = [key for key in record if then[key] != record[key]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} can't be read ({error}). Choose another --out.") from error
    if different:
        raise RunFolderError(
            f"{out} holds predictions that differ in {', '.join(different)} ({PREDICTION}): what is"
            " there can't be gone on with. Choose another --out."
        )


def _is_finished(out: Path, patient: Patient) -> bool:
    layout = FORMATS[patient.format]
    if not layout.FOLDER_EACH:
        return all((out / name).is_file() for name in layout.mask_names(patient))
    folder = out / patient.folder
    if not folder.exists():
        return False
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not there >= set(layout.mask_names(patient)):
        raise RunFolderError(
            f"{folder} isn't whole: files were taken out. Remove it and try again, or choose"
            " another --out."
        )
    return True

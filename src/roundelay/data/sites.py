"""Which patient stands at which site: by institution, in chunks, or by a table."""

import csv
import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from roundelay.data.patients import Patient
from roundelay.data.survey import SPLITS
from roundelay.errors import DataError
from roundelay.study.sections import Data

Sites = dict[str, tuple[Patient, ...]]


def assign_sites(patients: Sequence[Patient], data: Data) -> Sites:
    """Every site's patients, as the study's ``sites`` says. Raises DataError."""
    kind, _, value = data.sites.partition(":")
    if kind == "chunks":
        return _in_chunks(patients, int(value), data.split_seed)
    if kind == "table":
        return _by_table(patients, Path(value))
    return _grouped(patients)


def _grouped(patients: Sequence[Patient]) -> Sites:
    names = dict.fromkeys(sorted(patient.site for patient in patients))
    return {name: tuple(p for p in patients if p.site == name) for name in names}


def _in_chunks(patients: Sequence[Patient], count: int, seed: int) -> Sites:
    """The paper's chunks: whole patients, shuffled, dealt so that chunks have like many slices."""
    if count > len(patients):
        raise DataError(f"sites = 'chunks:{count}', but there are only {len(patients)} patients.")
    shuffled = Random(f"{seed}/chunks").sample(list(patients), k=len(patients))
    chunks: list[list[Patient]] = [[] for _ in range(count)]
    for patient in sorted(shuffled, key=lambda p: -len(p.images)):
        smallest = min(chunks, key=lambda chunk: sum(len(p.images) for p in chunk))
        smallest.append(patient)
    width = len(str(count))
    return {
        f"chunk-{n:0{width}}": tuple(
            replace(p, site=f"chunk-{n:0{width}}") for p in sorted(chunk, key=lambda p: p.id)
        )
        for n, chunk in enumerate(chunks, start=1)
    }


def _by_table(patients: Sequence[Patient], path: Path) -> Sites:
    """A table with a patient a row: patient, site and, if it likes, split.

    The columns may be named as in FeTS partitions: ``Subject_ID``, ``Partition_ID``.
    """
    known = {name: p for p in patients for name in (p.folder, p.id)}
    placed: dict[str, Patient] = {}
    for number, (name, site, split) in enumerate(_rows(path), start=2):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise DataError(f"{path}, line {number}: there is no patient {name!r}{hint}")
        patient = known[name]
        row = replace(patient, site=site, split=split)
        if (before := placed.setdefault(patient.id, row)) != row:
            raise DataError(
                f"{path}, line {number}: patient {patient.id} stands in two places,"
                f" {_place(before)} and {_place(row)}. A patient has one site and one split."
            )
    if not placed:
        raise DataError(f"{path} names no patient.")
    given = {patient.split is None for patient in placed.values()}
    if len(given) > 1:
        raise DataError(
            f"{path}: some patients have a split, others none. Give it to all or to none."
        )
    names = dict.fromkeys(p.site for p in placed.values())
    return {name: tuple(p for p in placed.values() if p.site == name) for name in names}


def _place(patient: Patient) -> str:
    return f"{patient.site}/{patient.split}" if patient.split else patient.site


def _rows(path: Path) -> list[tuple[str, str, str | None]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The table {path} can't be read: {error}.") from error
    columns = rows[0].keys() if rows else ()
    patient = next((c for c in ("patient", "Patient", "Subject_ID") if c in columns), None)
    site = next((c for c in ("site", "Site", "Partition_ID") if c in columns), None)
    if rows and not (patient and site):
        raise DataError(
            f"{path} needs the columns 'patient' and 'site'; it has {', '.join(columns)}."
        )
    found = []
    for number, row in enumerate(rows, start=2):
        split = (row.get("split") or "").strip() or None
        if split is not None and split not in SPLITS:
            raise DataError(
                f"{path}, line {number}: split {split!r} is none of {', '.join(SPLITS)}."
            )
        found.append(((row[patient or ""] or "").strip(), (row[site or ""] or "").strip(), split))
    return found

"""Which patient stands at which site: by institution, in chunks, or by a table."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from unicodedata import normalize

from roundelay.data.image_settings import ImageSettings, settings_of
from roundelay.data.patients import DRAWN, Patient
from roundelay.data.split import by_person, place_of, refuse_apart
from roundelay.data.survey import SPLITS
from roundelay.data.tables import PATIENT, SITE, read_table
from roundelay.errors import DataError
from roundelay.study.data_section import Data
from roundelay.study.names import SiteName, confusable
from roundelay.study.sections import TABLE, is_table
from roundelay.study.study import Study

Sites = dict[str, tuple[Patient, ...]]


def assign_sites(
    patients: Sequence[Patient], data: Data, unused: frozenset[str] = frozenset()
) -> Sites:
    """Every site's patients, as the study's ``sites`` says; a table may name exams too that were
    left out, whose names are `unused`. Raises DataError."""
    _refuse_confusable("patients", [patient.id for patient in patients])
    kind, _, value = data.sites.partition(":")
    if kind == "chunks":
        _refuse_placed(patients, data)
        return _in_chunks(patients, int(value), data.split_seed)
    table = kind == "table"
    sites = _by_table(patients, Path(value), unused) if table else _grouped(patients)
    placed = [patient for own in sites.values() for patient in own]
    _refuse_placed(placed, data)
    refuse_apart(placed)
    _refuse_confusable("sites", sites)
    return sites


def _refuse_placed(patients: Iterable[Patient], data: Data) -> None:
    """Raise DataError where folds are to be drawn of patients some of whom have a split already."""
    if data.folds is None:
        return
    for patient in patients:
        if patient.split or patient.drawn != DRAWN:
            raise DataError(
                f"The study draws {data.folds} folds of all patients, and a table or a list beside"
                f" the images says already who trains and who tests (the first: {patient.folder})."
                " Take the column split or that list away, or folds out of [data]."
            )


def unplaced(patients: Sequence[Patient], data: Data) -> Iterator[tuple[str, str]]:
    """The patients whom the study's table leaves out, and its sites of which none can be used; each
    with why."""
    if is_table(data.sites):
        path = Path(data.sites.removeprefix(TABLE))
        known = _by_name(patients)
        rows = [*_rows(path)]
        placed = {exam.id for _, name, _, _ in rows for exam in known.get(name, ())}
        for patient in patients:
            if patient.id not in placed:
                yield f"Patients who are not in the table {path.name}, left out", patient.id
        used = {site for _, name, site, _ in rows if name in known}
        for site in dict.fromkeys(site for _, _, site, _ in rows if site not in used):
            yield f"Sites of the table {path.name} none of whose exams can be used, left out", site


def settings_at_sites(study: Study) -> ImageSettings:
    """How a study's exams are read, those otherwise that stand at a site which says so of itself.

    Raises DataError where a table can't be read.
    """
    data = study.data
    own = {str(name): settings_of(data, site) for name, site in study.sites.items()}
    placed = own
    if own and data.sites.startswith("chunks"):
        raise DataError(
            "[sites.NAME] says how a hospital's images differ, and chunks mix those of all. Place"
            " patients by a table."
        )
    if own and is_table(data.sites):
        rows = [*_rows(Path(data.sites.removeprefix(TABLE)))]
        refuse_strangers(study, {site for _, _, site, _ in rows})
        placed = {normalize("NFC", name): own[site] for _, name, site, _ in rows if site in own}
    return replace(settings_of(data), elsewhere=tuple(placed.items()))


def refuse_strangers(study: Study, sites: Iterable[str]) -> None:
    """Raise DataError where a study says something of a site that isn't one of its."""
    for name in sorted(set(study.sites) - set(sites)):
        near = difflib.get_close_matches(name, [*sites], n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise DataError(f"[sites.{name}] stands in the study, which has no such site.{hint}")


def _refuse_confusable(what: str, names: Iterable[str]) -> None:
    """Raise DataError for names of which people and file systems take one for the other."""
    if pair := confusable(names):
        raise DataError(
            f"Two {what} are called {pair[0]!r} and {pair[1]!r}: nothing but case, blanks or the"
            " spelling of letters tells them apart. Give both the same name, or other ones."
        )


def _grouped(patients: Sequence[Patient]) -> Sites:
    names = dict.fromkeys(sorted(patient.site for patient in patients))
    return {name: tuple(p for p in patients if p.site == name) for name in names}


def _in_chunks(patients: Sequence[Patient], count: int, seed: int) -> Sites:
    """The paper's chunks: whole patients, shuffled, dealt so that chunks have like many slices."""
    persons = by_person(patients)
    if count > len(persons):
        raise DataError(f"sites = 'chunks:{count}', but there are only {len(persons)} patients.")
    shuffled = Random(f"{seed}/chunks").sample(persons, k=len(persons))
    chunks: list[list[Patient]] = [[] for _ in range(count)]
    for exams in sorted(shuffled, key=lambda exams: -sum(p.slices for p in exams)):
        smallest = min(chunks, key=lambda chunk: sum(p.slices for p in chunk))
        smallest += exams
    width = len(str(count))
    named = {SiteName(f"chunk-{n:0{width}}"): chunk for n, chunk in enumerate(chunks, start=1)}
    return {
        name: tuple(replace(p, site=name) for p in sorted(chunk, key=lambda p: p.id))
        for name, chunk in named.items()
    }


def _by_table(
    patients: Sequence[Patient], path: Path, unused: frozenset[str] = frozenset()
) -> Sites:
    """A table with a patient a row: patient (all exams of one), site and, if it likes, split.

    The columns may be named as in FeTS partitions: ``Subject_ID``, ``Partition_ID``.
    """
    placed: dict[str, Patient] = {}
    given: set[bool] = set()
    for line, exams, site, split in _rows_of(_by_name(patients), path, unused):
        given.add(split is None)
        for exam in exams:
            row = replace(exam, site=site, split=split or exam.split)
            if (before := placed.setdefault(row.id, row)) != row:
                raise DataError(
                    f"{path}, line {line}: patient {row.id} stands in two places,"
                    f" {place_of(before)} and {place_of(row)}. A patient has one site and one"
                    " split."
                )
    if not placed:
        raise DataError(f"{path} names no patient{' who can be used' * bool(unused)}.")
    if len(given) > 1:
        raise DataError(
            f"{path}: some patients have a split, others none. Give it to all or to none."
        )
    if False in given and any(p.split or p.drawn != DRAWN for p in patients):
        raise DataError(
            f"{path} says who trains and who tests, and lists beside the images say it too. Take"
            " the column split out of the table, or those lists (fold, validation, testing) away."
        )
    names = dict.fromkeys(p.site for p in placed.values())
    return {name: tuple(p for p in placed.values() if p.site == name) for name in names}


def _rows_of(
    known: Mapping[str, tuple[Patient, ...]], path: Path, unused: frozenset[str]
) -> Iterator[tuple[int, tuple[Patient, ...], SiteName, str | None]]:
    """Line, exams, site and split of each row whose exams weren't left out. Raises DataError."""
    left = {normalize("NFC", name) for name in unused}
    for line, name, site, split in _rows(path):
        if name in known:
            yield line, known[name], site, split
        elif name not in left:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise DataError(f"{path}, line {line}: there is no patient {name!r}{hint}")


def _by_name(patients: Sequence[Patient]) -> dict[str, tuple[Patient, ...]]:
    """The exams by each name that a table may call them: the person's is that of all of them."""
    single = {name: (p,) for p in patients for name in (p.folder, p.id)}
    persons = {exams[0].person: exams for exams in by_person(patients)}
    return {normalize("NFC", name): exams for name, exams in {**single, **persons}.items()}


def _rows(path: Path) -> Iterator[tuple[int, str, SiteName, str | None]]:
    """Line, patient, site and split of each row."""
    table = read_table(path)
    patient, site = table.column(*PATIENT), table.column(*SITE)
    if patient is None or site is None:
        raise DataError(
            f"{path} needs the columns 'patient' and 'site'; it has {', '.join(table.columns)}."
        )
    kept = table.column("split")
    for row in table.rows:
        split = row.cells[kept].lower() if kept else ""
        if split and split not in SPLITS:
            raise DataError(
                f"{path}, line {row.line}: split {split!r} is none of {', '.join(SPLITS)}."
            )
        try:
            name = SiteName(row.cells[site])
        except ValueError as error:
            raise DataError(f"{path}, line {row.line}: the name of the site {error}.") from error
        yield row.line, row.cells[patient], name, split or None

"""A folder of DICOM files as exams: by what headers say, however folders and files are called."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os.path import commonpath
from pathlib import Path

from roundelay.data.formats.dicom_header import Header, is_dicom
from roundelay.data.formats.dicom_known import known_header
from roundelay.data.formats.listing import list_folder
from roundelay.data.formats.nifti_names import is_mask
from roundelay.data.formats.places import PREDICTION
from roundelay.data.left_out import HIDDEN, ODD, PREDICTED
from roundelay.errors import DataError
from roundelay.study.names import PatientId, file_name

DEEP = 12
"""How far below the root files are looked for."""

NO_DICOM = "Files that are no DICOM, left out"
NO_IMAGE = "DICOM files without images (reports, indexes and the like), left out"
BESIDE = "NIfTI files that are no exam's mask (named _seg, beside its series), left out"
DEEPER = "Folders too deep below the root, not looked into"

Met = list[tuple[str, str]]


@dataclass(slots=True)
class Exam:
    """One study of one patient: files by series, and what could be its reference."""

    patient: str
    study: str
    date: str
    series: dict[str, list[Header]] = field(default_factory=dict)
    drawn: list[Header] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """Where its files lie, as it is told."""
        return commonpath([str(path) for path in self.folders])

    @property
    def folders(self) -> set[Path]:
        return {h.path.parent for own in self.series.values() for h in own}


def exams_in(root: Path) -> tuple[list[Exam], Met, list[str]]:
    """All exams below a folder, what was left out, and a sentence for each faulty file."""
    met: Met = []
    faults: list[str] = []
    exams: dict[tuple[str, str], Exam] = {}
    masks: list[Path] = []
    lacking: dict[str, list[Path]] = {}
    for path in _files(root, met):
        try:
            if path.name.lower().endswith((".nii", ".nii.gz")):
                masks.append(path)
            elif not is_dicom(path):
                met.append((NO_DICOM, path.name))
            else:
                _sort_in(known_header(path), exams, met, lacking)
        except DataError as error:
            faults += error.faults
    faults += [_nameless(name, paths) for name, paths in lacking.items()]
    found = [exam for exam in exams.values() if exam.series]
    for path in masks:
        if (owner := _owner(path, found)) is not None:
            owner.masks.append(path)
        else:
            met.append((BESIDE, path.name))
    return sorted(found, key=lambda e: (e.patient, e.date, e.study)), met, faults


def _files(folder: Path, met: Met, depth: int = 0) -> Iterator[Path]:
    listing = list_folder(folder)
    if any(path.name == PREDICTION for path in listing.files):
        met.append((PREDICTED, folder.name))
        return
    met += [(HIDDEN, path.name) for path in listing.hidden]
    met += [(ODD, path.name) for path in listing.odd]
    yield from listing.files
    for inner in listing.folders:
        if depth < DEEP:
            yield from _files(inner, met, depth + 1)
        else:
            met.append((DEEPER, inner.name))


def _nameless(name: str, paths: Sequence[Path]) -> str:
    """A sentence for all files that lack one thing."""
    more = f", nor have {len(paths) - 1} other files" if len(paths) > 1 else ""
    return (
        f"{paths[0]} has no {name}{more}: whose it is can't be told. Where names were taken out,"
        " put a pseudonym in their place, one a patient."
    )


def _sort_in(
    header: Header,
    exams: dict[tuple[str, str], Exam],
    met: Met,
    lacking: dict[str, list[Path]],
) -> None:
    if header.kind == "other":
        met.append((NO_IMAGE, header.path.name))
        return
    needed = {
        "PatientID": header.patient,
        "StudyInstanceUID": header.study,
        "SeriesInstanceUID": header.series,
        "SOPInstanceUID": header.uid,
    }
    if lost := next((name for name, value in needed.items() if not value), None):
        lacking.setdefault(lost, []).append(header.path)
        return
    key = header.patient, header.study
    exam = exams.setdefault(key, Exam(header.patient, header.study, header.date))
    if header.kind == "image":
        exam.series.setdefault(header.series, []).append(header)
    else:
        exam.drawn.append(header)


def _owner(path: Path, exams: Sequence[Exam]) -> Exam | None:
    """The one exam beside or above whose series a NIfTI mask lies."""
    if not is_mask(path):
        return None
    beside = [
        exam
        for exam in exams
        if any(path.parent == own or path.parent in own.parents for own in exam.folders)
    ]
    return beside[0] if len(beside) == 1 else None


def reference_path(exam: Exam, channels: Sequence[str]) -> Header | Path | None:
    """The one reference of an exam: the one drawn on one of its channels, or the only one.

    Raises DataError where several could be it.
    """
    on_channels = [h for h in exam.drawn if set(h.refers_to) & set(channels)]
    found: list[Header | Path] = [*(on_channels or exam.drawn), *exam.masks]
    if len(found) > 1:
        names = [one.path.name if isinstance(one, Header) else one.name for one in found]
        raise DataError(
            f"{exam.folder} has {len(found)} references, such as {names[0]} and {names[1]}: which"
            " is meant? Keep one of them there, and move the others away."
        )
    return found[0] if found else None


def named_exams(exams: Sequence[Exam], faults: list[str]) -> Iterator[tuple[Exam, PatientId, str]]:
    """Each exam, its name, and what its outputs are called; one that can have none is a fault."""
    several = {name for name, count in Counter(e.patient for e in exams).items() if count > 1}
    names: list[PatientId] = []
    folders: list[str] = []
    for exam in exams:
        try:
            names.append(_name(exam, exam.patient in several, names))
        except DataError as error:
            faults += error.faults
            continue
        folders.append(_folder(names[-1], folders))
        yield exam, names[-1], folders[-1]


def _name(exam: Exam, one_of_several: bool, before: Sequence[str]) -> PatientId:
    """The patient's, with the date where there are several exams of one."""
    text = f"{exam.patient}_{exam.date or 'exam'}" if one_of_several else exam.patient
    name, number = text, 1
    while name in before:
        number += 1
        name = f"{text}_{number}"
    try:
        return PatientId(name)
    except ValueError as error:
        raise DataError(
            f"The PatientID in {exam.folder}: {error}. Put a pseudonym in its place."
        ) from error


def _folder(name: PatientId, before: Sequence[str]) -> str:
    """What an exam's outputs are called: safe, and no other's in any case of its letters."""
    taken, text = {folder.casefold() for folder in before}, file_name(name)
    number, folder = 1, text
    while folder.casefold() in taken:
        number += 1
        folder = f"{text}-{number}"
    return folder

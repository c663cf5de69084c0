"""DICOM: series and references found by their headers, masks written as a segmentation (SEG).

Any tree of folders. Each study of a patient is an exam; its channels are series by description,
its reference a DICOM SEG, an RTSTRUCT or a NIfTI mask beside them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.dicom_channels import channels_of
from roundelay.data.formats.dicom_grids import on_grid
from roundelay.data.formats.dicom_header import Header, need_pydicom, read_header, read_whole
from roundelay.data.formats.dicom_pixels import voxels_of
from roundelay.data.formats.dicom_reference import reference_of
from roundelay.data.formats.dicom_seg import segmentation
from roundelay.data.formats.dicom_series import Series, series_of
from roundelay.data.formats.dicom_study import (
    Exam,
    Met,
    exams_in,
    named_exams,
    reference_path,
)
from roundelay.data.formats.one_grid import of_one_type
from roundelay.data.image_settings import LGG_SETTINGS, ImageSettings
from roundelay.data.left_out import BAD, Found, counted, refuse
from roundelay.data.patients import Patient, Source
from roundelay.data.tables import read_attributes
from roundelay.data.volumes import Volume
from roundelay.errors import DataError
from roundelay.study.names import PatientId, SiteName

ATTRIBUTES = "data.csv"

FOLDER_EACH = False

SITE = SiteName("all")
"""Where patients stand whom no table places."""

OTHER = "Series that are no channel of the study, left out"
UNUSED = "References that were not drawn on a channel, left out"


UNCLEAR = "Exams with several references, none of which is used"


def find_patients(
    root: Path, settings: ImageSettings = LGG_SETTINGS, *, masks: bool = True
) -> Found:
    """All exams; headers alone are read. Raises DataError naming every faulty one."""
    need_pydicom()
    attributes = read_attributes(root / ATTRIBUTES)
    exams, met, faults = exams_in(root)
    met = [one for one in met if one[1] != ATTRIBUTES]
    patients: list[Patient] = []
    bad: list[str] = []
    unused: set[str] = set()
    for exam, name, folder in named_exams(exams, faults):
        own = settings.at(name, folder, exam.patient, SITE)
        about = attributes.get(name) or attributes.get(exam.patient) or {}
        try:
            patient = _patient(exam, own, masks, met)
            patients.append(replace(patient, id=name, folder=folder, attributes=about))
        except DataError as error:
            bad += error.faults
            unused |= {name, folder, exam.patient}
    if settings.on_bad_exam == "leave-out" and patients:  # a file's fault may be of any exam
        met, bad = [*met, *((BAD, fault.rstrip(".")) for fault in bad)], []
    refuse([*faults, *bad])
    if not patients:
        raise DataError(f"{root} holds no DICOM series. Give the folder that they lie in.")
    return Found(tuple(patients), counted(met), frozenset(unused))


def read_volume(patient: Patient) -> Volume:
    """All channels on the grid of the first image's series, and the reference's regions.

    Raises DataError naming every faulty file.
    """
    leading, series, datasets = _opened(patient)
    grid = leading.grid(patient.settings.plane)
    faults: list[str] = []
    channels: list[NDArray[Any]] = []
    for source in patient.channels:
        if source is None:
            channels.append(np.zeros(leading.shape, np.float32))
            continue
        try:
            own = next(s for s in series if any(h.path == source.path for h in s.slices))
            channels.append(on_grid(own, voxels_of(own, datasets), leading, patient.settings))
        except DataError as error:
            faults += error.faults
    regions: NDArray[np.bool_] | None = None
    values: tuple[int, ...] = ()
    try:
        if patient.masks:
            drawn = reference_of(patient.masks[0], leading, patient.settings)
            regions = np.stack([grid.to_slices(region) for region in drawn.regions])
            values = drawn.values
    except DataError as error:
        faults += error.faults
    refuse(faults)
    cut = [grid.to_slices(channel) for channel in of_one_type(channels)]
    return Volume(np.stack(cut), regions, grid, values=values)


def mask_names(patient: Patient) -> list[str]:
    """One file an exam."""
    return [f"{patient.folder}.dcm"]


def mask_files(patient: Patient, volume: Volume, regions: NDArray[np.bool_]) -> dict[str, bytes]:
    """Regions bool ``[region, slice, row, column]`` as a DICOM SEG that refers to the series, a
    segment each; equal regions give equal bytes."""
    assert volume.grid is not None
    leading = _leading([read_header(path) for path in patient.images])
    masks = np.stack([volume.grid.to_file(region) for region in regions])
    data = segmentation(leading, masks, patient.settings.region_names)
    return {mask_names(patient)[0]: data}


def _patient(exam: Exam, settings: ImageSettings, masks: bool, met: Met) -> Patient:
    """An exam that has all that the study asks of it; its names are given later."""
    uids = channels_of(exam.folder, exam.series, settings)
    used = list(dict.fromkeys(uid for uid in uids if uid is not None))
    if not settings.channels:  # before a study is known
        used = list(exam.series)
    if not used:
        raise DataError(f"{exam.folder} has no series of any channel.")
    reference = _reference(exam, used, masks, met)
    if reference is None and masks:
        raise DataError(
            f"{exam.folder} has no reference: no DICOM SEG or RTSTRUCT of its study, no NIfTI mask"
            " (<name>_seg.nii.gz) beside it. Put one there, move the exam away, or say on_bad_exam"
            ' = "leave-out" in [data] (to evaluate, --on-bad-exam leave-out).'
        )
    path = reference.path if isinstance(reference, Header) else reference
    if not settings.channels:
        all_ = [h for own in exam.series.values() for h in own]
        return replace(
            _nobody(settings, path, exam),
            images=tuple(h.path for h in all_),
            slices=sum(h.frames for h in all_),
        )
    series = {uid: _series(exam.series[uid], exam.folder) for uid in used}
    drawn_on = reference.refers_to if isinstance(reference, Header) else ()
    first = next((uid for uid in used if uid in drawn_on), used[0])
    used.sort(key=lambda uid: uid != first)
    grid = series[first].grid(settings.plane)
    met += _beside(exam, used, path)
    return replace(
        _nobody(settings, path, exam),
        images=tuple(dict.fromkeys(h.path for uid in used for h in series[uid].slices)),
        slices=grid.shape[grid.axes[0]],
        channels=tuple(Source(series[uid].slices[0].path) if uid else None for uid in uids),
    )


def _nobody(settings: ImageSettings, mask: Path | None, exam: Exam) -> Patient:
    """An exam's patient, of whom neither name nor images are known yet."""
    masks = (mask,) if mask else ()
    return Patient(
        PatientId("unnamed"), SITE, "", (), masks, 0, "dicom",
        settings=settings, subject=exam.patient,
    )  # fmt: skip


def _reference(exam: Exam, used: Sequence[str], masks: bool, met: Met) -> Header | Path | None:
    """The exam's reference; where none is needed, an unclear one is left out."""
    try:
        return reference_path(exam, used)
    except DataError:
        if masks:
            raise
        met.append((UNCLEAR, exam.folder))
        return None


def _beside(exam: Exam, used: Sequence[str], reference: Path | None) -> Iterator[tuple[str, str]]:
    yield from ((OTHER, own[0].description) for uid, own in exam.series.items() if uid not in used)
    yield from ((UNUSED, h.path.name) for h in exam.drawn if h.path != reference)


def _series(headers: Sequence[Header], folder: str) -> Series:
    return series_of(headers, f"the series {headers[0].description!r} in {folder}")


def _by_series(headers: Sequence[Header]) -> list[Series]:
    own: dict[str, list[Header]] = {}
    for header in headers:
        own.setdefault(header.series, []).append(header)
    return [_series(files, str(files[0].path.parent)) for files in own.values()]


def _leading(headers: Sequence[Header]) -> Series:
    """The series whose grid the exam has: the first one."""
    return _by_series([h for h in headers if h.series == headers[0].series])[0]


def _opened(patient: Patient) -> tuple[Series, list[Series], dict[Path, Any]]:
    """The leading series, all of them, and the files as pydicom has them."""
    faults: list[str] = []
    headers: list[Header] = []
    datasets: dict[Path, Any] = {}
    for path in patient.images:
        try:
            header, datasets[path] = read_whole(path)
            headers.append(header)
        except DataError as error:
            faults += error.faults
    refuse(faults)
    series = _by_series(headers)
    return series[0], series, datasets

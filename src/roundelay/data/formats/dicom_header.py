"""What one DICOM file says of itself: whose it is, of which series, and where its pixels lie."""

import io
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from roundelay.data.formats.dicom_frames import Frame, frames_of
from roundelay.errors import DataError, MissingExtraError
from roundelay.files.reading import read_bytes
from roundelay.files.regular import refuse_special

Kind = Literal["image", "seg", "rtstruct", "other"]

MARK, MARK_AT = b"DICM", 128
"""What stands behind the preamble of every DICOM file, and where."""

TAGS = (
    "SOPClassUID", "SOPInstanceUID", "PatientID", "StudyInstanceUID", "StudyDate", "StudyTime",
    "SeriesInstanceUID", "SeriesDescription", "Modality", "Rows", "Columns", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices",
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "ReferencedSeriesSequence",
    "ReferencedFrameOfReferenceSequence", "ModalityLUTSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip

SEG = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage, and its younger kind that holds labels."""

IMAGE = "Image Storage"
"""What the names of all classes of images have in them."""

_FILTERS = threading.RLock()

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


@dataclass(frozen=True, slots=True)
class Header:
    """One file, or one frame of it. Numbers are as they stand there, empty or 0 where they don't;
    `refers_to` are the series that a reference was drawn on, `frame` is counted from 0."""

    path: Path
    kind: Kind
    patient: str
    study: str
    series: str
    uid: str
    description: str = ""
    date: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples: int = 1
    colours: str = ""
    syntax: str = ""
    position: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    thickness: float = 0.0
    has_table: bool = False
    refers_to: tuple[str, ...] = ()
    placed: tuple[Frame, ...] = ()
    frame: int | None = None

    @property
    def called(self) -> str:
        """The file, and which of its frames, for people."""
        if self.frame is None:
            return self.path.name
        return f"frame {self.frame + 1} of {self.path.name}"


def slices_of(header: Header) -> list[Header]:
    """A file as its slices: each of its frames that says where it lies, or the file itself."""
    return [
        replace(
            header, position=one.position, orientation=one.orientation, spacing=one.spacing,
            thickness=one.thickness, frames=1, placed=(one,), frame=number,
        )
        for number, one in enumerate(header.placed)
    ] or [header]  # fmt: skip


def need_pydicom() -> ModuleType:
    """Raises MissingExtraError where it isn't installed."""
    try:
        import pydicom
    except ImportError as error:
        raise MissingExtraError("Reading DICOM", "dicom") from error
    return pydicom


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of pydicom, which are of what is odd in headers and used for nothing.

    One thread at a time: Python's filters of warnings belong to all of them.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do. Raises DataError where it can't be read."""
    try:
        refuse_special(path)
        with path.open("rb") as file:
            return file.read(MARK_AT + len(MARK))[MARK_AT:] == MARK
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}.") from error


def read_header(path: Path) -> Header:
    """The header alone; no pixel is read. Raises DataError."""
    return _header(path, read_tags(path, *TAGS))


def read_whole(path: Path) -> tuple[Header, Any]:
    """The header, and all of the file as pydicom has it. Raises DataError."""
    dataset = _parsed(path, io.BytesIO(read_bytes(path, DataError)))
    return _header(path, dataset), dataset


def read_without_pixels(path: Path) -> Any:
    """All of a file but its pixels, as pydicom has it. Raises DataError."""
    return _parsed(path, path, stop_before_pixels=True)


def read_tags(path: Path, *tags: str) -> Any:
    """These alone of a file, as pydicom has them. Raises DataError."""
    return _parsed(path, path, specific_tags=list(tags), stop_before_pixels=True)


def _parsed(path: Path, source: Any, **how: Any) -> Any:
    pydicom = need_pydicom()
    try:
        with quiet():
            return pydicom.dcmread(source, **how)
    except Exception as error:  # a damaged file makes pydicom raise nearly anything
        raise DataError(
            f"{path} can't be read as DICOM ({error}): truncated or damaged? Copy it anew."
        ) from error


def _header(path: Path, dataset: Any) -> Header:
    try:
        with quiet():
            return _filled(path, dataset)
    except Exception as error:  # values are parsed where they are asked for: nearly anything
        raise DataError(
            f"The header of {path} can't be right ({error}). Export it anew from its archive."
        ) from error


def _filled(path: Path, dataset: Any) -> Header:
    meta, kind = getattr(dataset, "file_meta", None), _kind(dataset)
    return Header(
        path=path,
        kind=kind,
        patient=_text(dataset, "PatientID"),
        study=_text(dataset, "StudyInstanceUID"),
        series=_text(dataset, "SeriesInstanceUID"),
        uid=_text(dataset, "SOPInstanceUID"),
        description=_text(dataset, "SeriesDescription"),
        date=_text(dataset, "StudyDate"),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        frames=int(dataset.get("NumberOfFrames") or 1),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        colours=_text(dataset, "PhotometricInterpretation"),
        syntax=_text(meta, "TransferSyntaxUID") if meta is not None else "",
        position=_numbers(dataset, "ImagePositionPatient"),
        orientation=_numbers(dataset, "ImageOrientationPatient"),
        spacing=_numbers(dataset, "PixelSpacing"),
        thickness=float(
            dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness") or 0.0
        ),
        has_table="ModalityLUTSequence" in dataset,
        refers_to=_refers_to(dataset),
        placed=frames_of(dataset) if kind == "image" else (),
    )


def _kind(dataset: Any) -> Kind:
    meta = getattr(dataset, "file_meta", None) or {}
    sop = _text(dataset, "SOPClassUID") or _text(meta, "MediaStorageSOPClassUID")
    if sop in SEG:
        return "seg"
    if sop == RTSTRUCT:
        return "rtstruct"
    if dataset.get("Rows") and dataset.get("Columns"):
        return "image"
    if _may_be_an_image(sop):
        raise ValueError("no rows and columns of an image: was the file cut?")
    return "other"


def _may_be_an_image(sop: str) -> bool:
    """By the class, or by what a cut has left of it."""
    classes = need_pydicom().uid.UID_dictionary
    if sop in classes:
        return IMAGE in classes[sop][0]
    return any(known.startswith(sop) for known, (name, *_) in classes.items() if IMAGE in name)


def _text(dataset: Any, name: str) -> str:
    return str(dataset.get(name) or "").strip()


def _numbers(dataset: Any, name: str) -> tuple[float, ...]:
    values = dataset.get(name)
    if values is None or isinstance(values, str):
        return ()
    return tuple(float(value) for value in values)


def _refers_to(dataset: Any) -> tuple[str, ...]:
    """The series that a segmentation names, or that contours were drawn on."""
    found = [str(item.get("SeriesInstanceUID")) for item in _items(dataset, "ReferencedSeries")]
    for frame in _items(dataset, "ReferencedFrameOfReference"):
        for study in _items(frame, "RTReferencedStudy"):
            for series in _items(study, "RTReferencedSeries"):
                found.append(str(series.get("SeriesInstanceUID")))
    return tuple(dict.fromkeys(found))


def _items(dataset: Any, name: str) -> Sequence[Any]:
    return dataset.get(f"{name}Sequence") or ()

"""A mask as a DICOM segmentation that refers to the series it was made of."""

import hashlib
import io
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.dicom_frames import PLACES
from roundelay.data.formats.dicom_header import quiet, read_without_pixels
from roundelay.data.formats.dicom_series import Series
from roundelay.data.grids import voxel_sizes
from roundelay.errors import DataError, MissingExtraError
from roundelay.files.installed import installed_version

MAKER = "Roundelay"

SERIES_NUMBER = 900
"""High, so that it stands behind what the scanner made."""

EXPECTED = (
    "StudyDate", "StudyTime", "AccessionNumber", "PatientName", "PatientBirthDate", "PatientSex",
    "StudyID", "ReferringPhysicianName",
)  # fmt: skip
"""What each DICOM file must have, if only empty, and files without names often lack."""


def segmentation(series: Series, masks: NDArray[np.bool_], names: Sequence[str]) -> bytes:
    """Masks bool ``[segment, slice, row, column]`` in the axes of the series, as a file.

    UIDs come from a digest of series and masks, dates from the series: equal masks give equal
    bytes. All frames are written, also empty ones. Raises MissingExtraError, DataError.
    """
    hd = _need_highdicom()
    try:
        with quiet():
            return _made(hd, series, masks, names)
    except DataError:
        raise
    except Exception as error:  # an odd header of the source makes highdicom raise nearly anything
        raise DataError(
            f"No segmentation of {series.where} can be written: the headers of its files don't"
            f" allow it ({error}). Export the series anew."
        ) from error


def _made(
    hd: ModuleType, series: Series, masks: NDArray[np.bool_], names: Sequence[str]
) -> bytes:  # fmt: skip
    sources = _sources(series)
    if series.slices[0].frame is None:
        sources = hd.spatial.sort_datasets(sources)
        own = {header.uid: number for number, header in enumerate(series.slices)}
        order = [own[str(source.SOPInstanceUID)] for source in sources]
    else:  # frames stay as they stand in the file
        order = np.argsort([header.frame or 0 for header in series.slices]).tolist()
    digest = _digest(series, masks, names)
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=np.moveaxis(masks[:, order], 0, -1).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(hd, number, name) for number, name in enumerate(names, start=1)
        ],
        series_instance_uid=_uid(digest, "series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=_uid(digest, "instance"),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=installed_version(),
        device_serial_number="0",
        content_label="TUMOUR",
        content_description="Made by a model; not checked by a person",
        series_description="Roundelay segmentation",
        omit_empty_frames=False,
    )
    _take_clock_away(made, sources[0], digest)
    file = io.BytesIO()
    made.save_as(file)
    return file.getvalue()


def _sources(series: Series) -> list[Any]:
    """The files of a series; what was taken out of them with the names, and a segmentation can't
    do without, is put back empty."""
    paths = dict.fromkeys(header.path for header in series.slices)
    found = [read_without_pixels(path) for path in paths]
    if series.slices[0].frame is not None:
        _share_places(found)
    for dataset in found:
        for name in EXPECTED:
            if name not in dataset:
                setattr(dataset, name, "")
        if not dataset.get("SliceThickness"):
            dataset.SliceThickness = f"{voxel_sizes(series.affine)[0]:.6g}"
        if not dataset.get("FrameOfReferenceUID"):
            dataset.FrameOfReferenceUID = _uid(series.uid, "frame of reference")
    return found


def _share_places(sources: Sequence[Any]) -> None:
    """Put what frames say each, and are alike in, where a segmentation is looked up: for all."""
    for dataset in sources:
        own = dataset.PerFrameFunctionalGroupsSequence[0]
        if not dataset.get("SharedFunctionalGroupsSequence"):
            dataset.SharedFunctionalGroupsSequence = [type(dataset)()]
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for name in (f"{place}Sequence" for place in PLACES):
            if name not in shared:
                setattr(shared, name, own[name].value)


def _need_highdicom() -> ModuleType:
    try:
        import highdicom
    except ImportError as error:
        raise MissingExtraError("Writing DICOM segmentations", "dicom") from error
    return highdicom


def _segment(hd: ModuleType, number: int, name: str) -> Any:
    from pydicom.sr.coding import Code

    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=Code("49755003", "SCT", "Morphologically Abnormal Structure"),
        segmented_property_type=Code("108369006", "SCT", "Neoplasm"),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=MAKER,
            version=installed_version(),
            family=Code("123109", "DCM", "Artificial Intelligence"),
        ),
        anatomic_regions=[Code("12738006", "SCT", "Brain")],
    )


def _digest(series: Series, masks: NDArray[np.bool_], names: Sequence[str]) -> str:
    digest = hashlib.sha256(repr((installed_version(), list(names), masks.shape)).encode())
    for header in series.slices:
        digest.update(header.uid.encode())
    digest.update(np.packbits(masks).tobytes())
    return digest.hexdigest()


def _uid(digest: str, what: str) -> str:
    """A UID of 128 bits under 2.25, where anybody may make one."""
    number = hashlib.sha256(f"{digest}/{what}".encode()).hexdigest()[:32]
    return f"2.25.{int(number, 16)}"


def _take_clock_away(made: Any, source: Any, digest: str) -> None:
    """Put the study's own date and a derived UID where there are the time and chance of now."""
    date = str(source.get("StudyDate") or "") or "19000101"
    time = str(source.get("StudyTime") or "") or "000000"
    for name in ("Content", "Series", "InstanceCreation"):
        for kind, value in (("Date", date), ("Time", time)):
            if f"{name}{kind}" in made:
                setattr(made, f"{name}{kind}", value)
    for item in made.get("ContributingEquipmentSequence") or ():
        item.ContributionDateTime = date + time
    dimensions = _uid(digest, "dimensions")
    for item in made.DimensionOrganizationSequence:
        item.DimensionOrganizationUID = dimensions
    for item in made.DimensionIndexSequence:
        item.DimensionOrganizationUID = dimensions

"""Small synthetic DICOM series, segmentations and contours for tests: no patient is in them."""

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

MR = "1.2.840.10008.5.1.4.1.1.4"

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

OBLIQUE = tuple(
    np.round([np.cos(0.3), np.sin(0.3), 0, *np.array([-np.sin(0.3), np.cos(0.3), 0.0])], 8).tolist()
)

Change = Callable[[Dataset, int], None]


def uid(*parts: object) -> str:
    """The same parts, the same UID."""
    return str(pydicom.uid.generate_uid(entropy_srcs=[repr(parts)]))


def grey(shape: tuple[int, int, int] = (6, 12, 10), seed: int = 0) -> NDArray[np.int16]:
    """Some grey levels, negative ones too, every voxel another."""
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    return (rng.permutation(count) - 50).astype(np.int16).reshape(shape)


def blob(shape: tuple[int, int, int] = (6, 12, 10), seed: int = 0) -> NDArray[np.bool_]:
    """A mask that no flip or turn leaves as it is."""
    mask = np.zeros(shape, bool)
    mask[1:4, 2:7, 1:4] = True
    mask[2, 8, 5 + seed % 3] = True
    return mask


def write_series(
    folder: Path,
    voxels: NDArray[Any],
    *,
    description: str = "AX FLAIR",
    patient: str = "P-001",
    study: str = "study",
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] = (-20.0, -31.5, 12.25),
    spacing: Sequence[float] = (5.0, 0.9, 0.8),
    reverse: bool = False,
    change: Change = lambda dataset, number: None,
) -> list[Path]:
    """Voxels ``[slice, row, column]`` as files, from the lowest slice to the highest along the
    normal; named in no order at all. `spacing` is of slices, rows and columns."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    paths = []
    for number, pixels in enumerate(voxels):
        dataset = _slice(pixels)
        dataset.PatientID, dataset.PatientName = patient, "Nobody"
        dataset.StudyInstanceUID = uid(patient, study)
        dataset.SeriesInstanceUID = uid(patient, study, description)
        dataset.FrameOfReferenceUID = uid(patient, study, "frame")
        dataset.SOPInstanceUID = uid(patient, study, description, number)
        dataset.SeriesDescription = description
        dataset.StudyDate, dataset.StudyTime = "20240105", "101112"
        dataset.InstanceNumber = len(voxels) - number if reverse else number + 1
        place = np.array(origin) + normal * spacing[0] * number
        dataset.ImagePositionPatient = [_short(value) for value in place]
        dataset.ImageOrientationPatient = [_short(value) for value in orientation]
        dataset.PixelSpacing = [spacing[1], spacing[2]]
        dataset.SliceThickness = spacing[0]
        change(dataset, number)
        path = folder / f"{zlib.crc32(repr((description, number, reverse)).encode()):08x}.dcm"
        paths.append(_saved(dataset, path))
    return paths


def affine(
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] = (-20.0, -31.5, 12.25),
    spacing: Sequence[float] = (5.0, 0.9, 0.8),
) -> NDArray[np.float64]:
    """Of the same series as NIfTI has it: from column, row and slice to millimetres, RAS+."""
    orientation = [float(_short(value)) for value in orientation]
    found = np.eye(4)
    found[:3, 0] = np.array(orientation[:3]) * spacing[2]
    found[:3, 1] = np.array(orientation[3:]) * spacing[1]
    found[:3, 2] = np.cross(orientation[:3], orientation[3:]) * spacing[0]
    found[:3, 3] = origin
    return np.diag((-1.0, -1.0, 1.0, 1.0)) @ found


def write_nifti(path: Path, voxels: NDArray[Any], own: NDArray[np.float64]) -> Path:
    """Voxels ``[slice, row, column]`` as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.ascontiguousarray(voxels.transpose(2, 1, 0))
    nib.save(nib.Nifti1Image(array, own, dtype=array.dtype), path)
    return path


def write_seg(
    path: Path,
    series: Sequence[Path],
    segments: Mapping[str, NDArray[np.bool_]],
    *,
    kind: str = "BINARY",
    **more: Any,
) -> Path:
    """Masks ``[slice, row, column]``, one a segment, of files in that order; empty frames left
    out, as most programs do."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Neoplasm,
            algorithm_type="MANUAL",
        )
        for number, name in enumerate(segments, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.seg.Segmentation(
            source_images=[pydicom.dcmread(file) for file in series],
            pixel_array=np.stack(list(segments.values()), axis=-1).astype(np.uint8),
            segmentation_type=kind,
            segment_descriptions=described,
            series_instance_uid=uid(path.name, "seg"),
            series_number=90,
            sop_instance_uid=uid(path.name, "seg", 1),
            instance_number=1,
            manufacturer="test",
            manufacturer_model_name="test",
            software_versions="1",
            device_serial_number="1",
            **more,
        )
        made.save_as(path)
    return path


def write_contours(path: Path, series: Sequence[Path], rois: Mapping[int, Sequence[Any]]) -> Path:
    """An RTSTRUCT: by number of the region, contours ``[n, 3]`` in DICOM's millimetres."""
    source = pydicom.dcmread(series[0])
    dataset = Dataset()
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, name, getattr(source, name))
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = uid(path.name), uid(path.name, "series")
    inner, study, frame = Dataset(), Dataset(), Dataset()
    inner.SeriesInstanceUID = source.SeriesInstanceUID
    study.RTReferencedSeriesSequence = [inner]
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.ROIContourSequence = []
    for number, contours in rois.items():
        region = Dataset()
        region.ReferencedROINumber = number
        region.ContourSequence = [_contour(points) for points in contours]
        dataset.ROIContourSequence.append(region)
    return _saved(dataset, path)


def _contour(points: NDArray[np.float64]) -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [_short(value) for value in np.ravel(points)]
    return contour


def _slice(pixels: NDArray[Any]) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = MR, "MR"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "Laterality"):
        setattr(dataset, name, "")
    dataset.ReferringPhysicianName, dataset.SeriesNumber = "", 1
    return dataset


def _saved(dataset: Dataset, path: Path) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), dataset, file_meta=meta, preamble=b"\0" * 128)
    file.save_as(path, enforce_file_format=True)
    return path


def _short(value: float) -> str:
    """A decimal string of DICOM: 16 characters at most."""
    return f"{value:.10f}"[:16]

"""A single-frame series as one enhanced file, for tests: its frames in any order."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"

OWN = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
       "BitsStored", "HighBit", "PixelRepresentation", "PatientID", "PatientName",
       "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID",
       "SeriesDescription", "StudyDate", "StudyTime", "Modality", "PixelData")  # fmt: skip

Change = Callable[[Dataset, int], None]


def as_enhanced(
    series: Sequence[Path],
    *,
    order: Sequence[int] | None = None,
    all_shared: bool = True,
    change: Change = lambda frame, number: None,
) -> Path:
    """Put one file in the place of a series' files. `order` is of its frames; what they have in
    common is said once where it is `all_shared`, else by each; `change` is given each frame."""
    slices = [pydicom.dcmread(path) for path in series]
    slices = [slices[number] for number in order or range(len(slices))]
    whole = pydicom.dcmread(series[0])
    for element in list(whole):
        if element.keyword not in OWN:
            del whole[element.tag]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    whole.NumberOfFrames = len(slices)
    whole.PixelData = b"".join(one.PixelData for one in slices)
    shared, frames = Dataset(), []
    for number, one in enumerate(slices):
        frame = Dataset()
        _put(frame, "FrameContentSequence", StackID="1", InStackPositionNumber=number + 1)
        _put(frame, "PlanePositionSequence", ImagePositionPatient=one.ImagePositionPatient)
        common = shared if all_shared else frame
        _put(common, "PlaneOrientationSequence",
             ImageOrientationPatient=one.ImageOrientationPatient)  # fmt: skip
        _put(common, "PixelMeasuresSequence", PixelSpacing=one.PixelSpacing,
             SliceThickness=one.SliceThickness)  # fmt: skip
        if "RescaleSlope" in one:
            _put(common, "PixelValueTransformationSequence", RescaleSlope=one.RescaleSlope,
                 RescaleIntercept=one.RescaleIntercept, RescaleType="US")  # fmt: skip
        change(frame, number)
        frames.append(frame)
    whole.SharedFunctionalGroupsSequence = [shared]
    whole.PerFrameFunctionalGroupsSequence = frames
    for path in series:
        path.unlink()
    path = series[0].with_name("enhanced.dcm")
    whole.save_as(path, enforce_file_format=True)
    return path


def _put(holder: Dataset, name: str, **values: object) -> None:
    item = Dataset()
    for key, value in values.items():
        setattr(item, key, value)
    setattr(holder, name, [item])


def in_group(name: str, key: str, values: Sequence[object]) -> Change:
    """Each frame's own value in a functional group."""

    def change(frame: Dataset, number: int) -> None:
        if name not in frame:
            setattr(frame, name, [Dataset()])
        setattr(frame[name][0], key, values[number])

    return change

"""Masks back as DICOM SEG: read by others, every voxel lies on the one it was made for."""

import io
import time
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from dicom_files import AXIAL, OBLIQUE, grey, write_series
from roundelay.data.formats import dicom
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

SETTINGS = ImageSettings(
    channels=("flair",), regions=(("whole", (1, 2)), ("core", (2,)))
)  # fmt: skip

MIRRORED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
SHAPE = (6, 12, 10)


def backwards(dataset, number):
    """The scanner numbered, and named, slices from the top down."""
    dataset.InstanceNumber = 6 - number


CASES = {
    "axial": {},
    "oblique": {"orientation": OBLIQUE},
    "mirrored": {"orientation": MIRRORED},
    "sagittal": {"orientation": SAGITTAL},
    "backwards": {"change": backwards},
}


def regions_for(volume) -> np.ndarray:
    """Two regions in which no voxel has its mirror image, in the axes of the volume."""
    shape = volume.channels.shape[1:]
    whole = np.random.default_rng(3).random(shape) < 0.2
    whole[[0, 3]] = False
    return np.stack([whole, whole & (np.random.default_rng(4).random(shape) < 0.5)])


def written(tmp_path, regions=None, settings=SETTINGS, **more):
    """Patient, volume, regions, and the file that is made of them."""
    write_series(tmp_path / "in", grey(), **more)
    (patient,) = dicom.find_patients(tmp_path / "in", settings, masks=False).patients
    volume = dicom.read_volume(patient)
    if regions is None:
        regions = regions_for(volume)[: len(settings.regions)]
    files = dicom.mask_files(patient, volume, regions)
    assert list(files) == dicom.mask_names(patient) == ["P-001.dcm"]
    return patient, volume, regions, files["P-001.dcm"]


def places(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Where voxels are, in millimetres, RAS+, in one order."""
    found = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return np.array(sorted(map(tuple, np.round(found, 2) + 0.0)))


@pytest.mark.parametrize("case", CASES)
def test_each_frame_lies_where_its_slice_does(tmp_path, case):
    """By pydicom alone: the position of each frame, segment by segment."""
    _, volume, regions, data = written(tmp_path, **CASES[case])
    found = pydicom.dcmread(io.BytesIO(data))

    frames = found.pixel_array
    assert len(frames) == 2 * SHAPE[0]  # all, empty ones too
    shared = found.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
    met = {1: [], 2: []}
    for pixels, own in zip(frames, found.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(own.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        rows = np.argwhere(pixels)
        there = (
            first
            + rows[:, :1] * spacing[0] * orientation[3:]
            + rows[:, 1:] * spacing[1] * orientation[:3]
        ) * (-1, -1, 1)
        number = own.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        met[number] += [tuple(place) for place in np.round(there, 2) + 0.0]

    for number in (1, 2):
        mask = volume.grid.to_file(regions[number - 1])
        expected = places(mask, np.array(volume.grid.affine))
        assert np.allclose(np.array(sorted(met[number])), expected, atol=0.011)


@pytest.mark.parametrize("case", CASES)
def test_highdicom_and_our_own_reader_find_the_same_voxels(tmp_path, case):
    import highdicom as hd

    patient, volume, regions, data = written(tmp_path, **CASES[case])
    place = tmp_path / "in" / "seg.dcm"
    place.write_bytes(data)

    (again,) = dicom.find_patients(tmp_path / "in", replace(
        SETTINGS, regions=(("whole", (1,)), ("core", (2,)))
    )).patients  # fmt: skip
    theirs = hd.seg.segread(place).get_volume()

    assert (dicom.read_volume(again).reference == regions).all()
    grid = theirs.affine
    ras = np.diag((-1.0, -1.0, 1.0, 1.0)) @ grid
    for number in (0, 1):
        mask = volume.grid.to_file(regions[number])
        expected = places(mask, np.array(volume.grid.affine))
        assert np.allclose(places(theirs.array[..., number], ras), expected, atol=0.011)
    assert again.id == patient.id


@pytest.mark.parametrize("case", CASES)
def test_simpleitk_places_the_mask_over_the_series(tmp_path, case):
    sitk = pytest.importorskip("SimpleITK")
    one = replace(SETTINGS, regions=(("tumour", (1,)),))
    _, volume, regions, data = written(tmp_path, settings=one, **CASES[case])
    place = tmp_path / "seg.dcm"
    place.write_bytes(data)

    image = sitk.ReadImage(str(place))

    voxels = np.argwhere(sitk.GetArrayFromImage(image))[:, ::-1].tolist()
    there = np.array([image.TransformIndexToPhysicalPoint(voxel) for voxel in voxels])
    expected = places(volume.grid.to_file(regions[0]), np.array(volume.grid.affine))
    found = np.array(sorted(map(tuple, np.round(there * (-1, -1, 1), 2) + 0.0)))
    assert np.allclose(found, expected, atol=0.011)


def test_an_empty_mask_is_a_segmentation_too(tmp_path):
    _, _, _, data = written(tmp_path, np.zeros((2, *SHAPE), bool))

    found = pydicom.dcmread(io.BytesIO(data))

    assert len(found.pixel_array) == 2 * SHAPE[0] and not found.pixel_array.any()


def test_it_says_what_it_is_and_refers_to_its_series(tmp_path):
    patient, _, _, data = written(tmp_path)
    found = pydicom.dcmread(io.BytesIO(data))
    source = pydicom.dcmread(patient.images[0])

    assert found.SegmentationType == "BINARY" and found.Modality == "SEG"
    assert [s.SegmentLabel for s in found.SegmentSequence] == ["whole", "core"]
    for segment in found.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
        assert segment.AnatomicRegionSequence[0].CodeValue == "12738006"
        known = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert known.AlgorithmName == "Roundelay" and known.AlgorithmVersion
    series = found.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    referred = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
    assert referred == {pydicom.dcmread(path).SOPInstanceUID for path in patient.images}
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert found[name].value == source[name].value


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_what_was_taken_out_with_the_names_is_no_obstacle(tmp_path, how):
    names = (
        "StudyDate", "StudyTime", "AccessionNumber", "PatientName", "PatientBirthDate",
        "PatientSex", "StudyID", "ReferringPhysicianName", "SliceThickness", "SeriesNumber",
        "FrameOfReferenceUID", "InstanceNumber", "Laterality", "Modality",
    )  # fmt: skip

    def taken_out(dataset, number):
        for name in names:
            if how == "gone":
                delattr(dataset, name)
            else:
                setattr(dataset, name, None)

    _, _, regions, data = written(tmp_path, change=taken_out)
    found = pydicom.dcmread(io.BytesIO(data))

    assert found.PatientID == "P-001" and found.FrameOfReferenceUID
    assert found.pixel_array.sum() == regions.sum()
    measures = found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SliceThickness) == 5


def test_a_header_that_allows_no_segmentation_is_said(tmp_path):
    def odd(dataset, number):
        dataset.FrameOfReferenceUID = f"1.2.3.{number}"

    with pytest.raises(DataError, match=r"No segmentation of the series .* can be written"):
        written(tmp_path, change=odd)


def test_equal_masks_give_equal_bytes_and_others_other_uids(tmp_path):
    patient, volume, regions, first = written(tmp_path)

    time.sleep(1.1)
    again = dicom.mask_files(patient, volume, regions)["P-001.dcm"]
    other = dicom.mask_files(patient, volume, ~regions)["P-001.dcm"]

    assert first == again
    one, two = (pydicom.dcmread(io.BytesIO(data)) for data in (first, other))
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.SeriesInstanceUID != two.SeriesInstanceUID


def test_the_segmentation_refers_to_the_series_that_the_grid_is_of(tmp_path):
    write_series(tmp_path / "a", grey())
    write_series(tmp_path / "b", grey(seed=1), description="T1", orientation=AXIAL)
    settings = replace(SETTINGS, channels=("t1", "flair"))
    (patient,) = dicom.find_patients(tmp_path, settings, masks=False).patients
    volume = dicom.read_volume(patient)

    data = dicom.mask_files(patient, volume, regions_for(volume))["P-001.dcm"]

    found = pydicom.dcmread(io.BytesIO(data))
    t1 = next(p for p in patient.images if pydicom.dcmread(p).SeriesDescription == "T1")
    assert (
        found.ReferencedSeriesSequence[0].SeriesInstanceUID == pydicom.dcmread(t1).SeriesInstanceUID
    )

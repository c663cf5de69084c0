"""Enhanced DICOM, many frames in one file: the same volume as a file a slice, or a sentence."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_enhanced import as_enhanced, in_group
from dicom_files import AXIAL, OBLIQUE, blob, grey, write_seg, write_series
from roundelay.data.formats import dicom
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

SETTINGS = ImageSettings(channels=("flair",), regions=(("tumour", (1,)),))

SHUFFLED = (3, 0, 5, 1, 4, 2)

TURNED = [list(AXIAL)] * 3 + [[1, 0, 0, 0, 0, -1]] * 3


def rescaled(slope, intercept):
    def change(dataset, number):
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept + number

    return change


def one(root: Path, *, masks: bool = False):
    (patient,) = dicom.find_patients(root, SETTINGS, masks=masks).patients
    return patient


@pytest.mark.parametrize("all_shared", [True, False])
@pytest.mark.parametrize(
    ("orientation", "change"),
    [(AXIAL, lambda *_: None), (OBLIQUE, rescaled(1, -7)), (OBLIQUE, rescaled(0.37, 2.5))],
)
def test_one_file_of_frames_is_the_same_volume_as_a_file_a_slice(
    tmp_path, orientation, change, all_shared
):
    def steady(dataset, number):
        change(dataset, 0 if all_shared else number)

    for name in ("single", "enhanced"):
        paths = write_series(tmp_path / name, grey(), orientation=orientation, change=steady)
    as_enhanced(paths, order=SHUFFLED, all_shared=all_shared)

    single, enhanced = one(tmp_path / "single"), one(tmp_path / "enhanced")
    first, second = dicom.read_volume(single), dicom.read_volume(enhanced)

    assert len(enhanced.images) == 1 and enhanced.slices == single.slices == 6
    assert first.channels.dtype == second.channels.dtype
    assert first.channels.tobytes() == second.channels.tobytes()
    assert first.grid == second.grid
    assert first.spacing == second.spacing


@pytest.mark.parametrize("all_shared", [True, False])
def test_a_mask_of_it_is_written_on_its_frames_and_read_back(tmp_path, all_shared):
    path = as_enhanced(write_series(tmp_path, grey()), order=SHUFFLED, all_shared=all_shared)
    patient = one(tmp_path)
    volume = dicom.read_volume(patient)
    assert volume.grid is not None
    mask = volume.grid.to_slices(blob())[None]

    ((name, data),) = dicom.mask_files(patient, volume, mask).items()
    (tmp_path / name).write_bytes(data)

    back = dicom.read_volume(one(tmp_path, masks=True))
    assert back.regions is not None and (back.regions == mask).all()
    made = pydicom.dcmread(tmp_path / name)
    (source,) = made.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert source.ReferencedSOPInstanceUID == pydicom.dcmread(path).SOPInstanceUID


def test_a_segmentation_of_the_single_frames_lies_on_the_enhanced_file(tmp_path):
    paths = write_series(tmp_path, grey())
    write_seg(tmp_path / "seg.dcm", paths, {"tumour": blob()})
    as_enhanced(paths)

    regions = dicom.read_volume(one(tmp_path, masks=True)).regions

    assert regions is not None and regions.sum() == blob().sum()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            in_group(
                "PlaneOrientationSequence",
                "ImageOrientationPatient",
                TURNED,
            ),
            "frame 1 of enhanced.dcm and frame 4 of enhanced.dcm lie in different planes",
        ),
        (
            in_group("FrameContentSequence", "StackID", [*"111222"]),
            r"enhanced.dcm holds 2 stacks \(StackID 1, 2\): several volumes in one series. Export",
        ),
        (
            in_group("FrameContentSequence", "TemporalPositionIndex", [1, 1, 2, 2, 3, 3]),
            r"holds 3 points in time \(TemporalPositionIndex 1, 2, 3\)",
        ),
        (
            in_group("MRDiffusionSequence", "DiffusionBValue", [0.0] * 3 + [1000.0] * 3),
            r"holds 2 b-values \(DiffusionBValue 0, 1000\)",
        ),
        (
            in_group("PixelMeasuresSequence", "PixelSpacing", [[0.9, 0.8]] * 5 + [[1, 1]]),
            "pixels of different size",
        ),
        (
            in_group(
                "PlanePositionSequence",
                "ImagePositionPatient",
                [[0, 0, z] for z in (0, 5, 10, 20, 25, 30)],
            ),
            "from frame 3 of enhanced.dcm to frame 4 of enhanced.dcm it is 10 mm, elsewhere 5 mm",
        ),
        (
            in_group(
                "PlanePositionSequence",
                "ImagePositionPatient",
                [[0, 0, z] for z in (0, 5, 10, 0, 5, 10)],
            ),
            "frame 1 of enhanced.dcm and frame 4 of enhanced.dcm lie on one place",
        ),
        (
            in_group("PlanePositionSequence", "ImagePositionPatient", [None] * 6),
            "frame 1 of enhanced.dcm doesn't say where it lies",
        ),
    ],
)
def test_frames_that_are_no_volume_are_refused(tmp_path, change, match):
    as_enhanced(write_series(tmp_path, grey()), change=change)

    with pytest.raises(DataError, match=match):
        one(tmp_path)


def test_frames_that_do_not_say_where_they_lie_are_refused(tmp_path):
    path = as_enhanced(write_series(tmp_path, grey()))
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[5]
    dataset.save_as(path)

    with pytest.raises(DataError, match="holds 6 frames in one file, and doesn't say of each"):
        one(tmp_path)


def test_one_frame_in_an_enhanced_file_is_read(tmp_path):
    as_enhanced(write_series(tmp_path, grey((1, 12, 10))))

    assert (dicom.read_volume(one(tmp_path)).channels[0] == np.asarray(grey((1, 12, 10)))).all()

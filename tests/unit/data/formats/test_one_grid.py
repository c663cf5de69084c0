"""Channels on one grid and of one type, by hand."""

import numpy as np
import pytest

from nifti_files import BRATS20, write_exam
from roundelay.data.formats.nifti import find_patients, read_volume
from roundelay.data.formats.one_grid import of_one_type, resampled
from roundelay.data.image_settings import ImageSettings
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.slice_cache import cut_exam


def placed(by):
    affine = np.eye(4)
    affine[0, 3] = by
    return affine


@pytest.mark.parametrize(
    ("by", "expected"), [(1.0, [2, 3, 4, 0]), (0.5, [1, 2.5, 3.5, 4]), (0.6, [1.2, 2.6, 3.6, 0])]
)
def test_a_channel_that_lies_elsewhere_is_read_where_the_grid_has_its_voxels(by, expected):
    voxels = np.array([0, 2, 3, 4], np.int16).reshape(4, 1, 1)

    found = resampled(voxels, placed(0.0), placed(by), (4, 1, 1))

    assert found.dtype == np.float32 and np.allclose(found.ravel(), expected)


def test_of_an_oblique_grid_with_one_slice_less_no_voxel_is_lost():
    rng = np.random.default_rng(0)
    for _ in range(50):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = turn * [0.9, 0.9, 5.0], rng.normal(size=3) * 80

        found = resampled(np.full((12, 12, 7), 100, np.int16), affine, affine, (12, 12, 6))

        assert np.allclose(found, 100)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([np.uint8, np.uint8], np.int16),
        ([np.int16, np.uint16], np.int32),
        ([np.int16, np.float32], np.float32),
        ([np.int32, np.float32], np.float32),
        ([">i2", np.int16], np.int16),
    ],
)
def test_the_smallest_type_that_holds_all_and_no_bytes(kinds, expected):
    channels = [np.full((2, 2), 200, kind) for kind in kinds]

    found = of_one_type(channels)

    assert {one.dtype for one in found} == {np.dtype(expected)}
    assert all((one == 200).all() for one in found)


@pytest.mark.parametrize("channels", [BRATS20[:1], BRATS20[:2], BRATS20])
def test_exams_of_bytes_are_cut_whatever_their_number_of_channels(tmp_path, channels):
    arrays = {
        name: np.pad(np.full((6, 7, 4), 50 + 40 * n, np.uint8), 1)
        for n, name in enumerate(channels)
    }
    write_exam(tmp_path / "A", channels=channels, shape=(8, 9, 6), arrays=arrays)
    settings = ImageSettings(channels=channels, regions=(("whole", (1, 2, 4)),))
    (patient,) = find_patients(tmp_path, settings).patients

    exam = cut_exam(read_volume(patient), Preprocessing("percentile", "none", 32))

    assert exam.images.shape == (6, 32, 32, len(channels))
    assert np.isfinite(exam.images).all()

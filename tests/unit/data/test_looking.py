"""What is said of exams that a network won't see whole, or whose greys would be lost."""

from dataclasses import replace

import numpy as np
import pytest

from nifti_files import write_exam
from roundelay.data.formats import nifti
from roundelay.data.image_settings import ImageSettings
from roundelay.data.levels import far_voxels, levels_of
from roundelay.data.opening import read_patients
from roundelay.data.preprocessing import Preprocessing, cut_slice, geometry_of
from roundelay.data.remarks import CUT_OFF, UNMET, remarks_of
from roundelay.data.split import refuse_leak
from roundelay.data.volumes import Volume
from roundelay.errors import DataError

SETTINGS = ImageSettings(channels=("t1",), regions=(("whole", (1, 2)), ("core", (1,))))
SHAPE = (40, 44, 3)


def head():
    found = np.zeros(SHAPE, np.int16)
    found[5:35, 5:39] = np.random.default_rng(0).integers(100, 900, (30, 34, 3))
    return found


def opened(root, seen=None, labels=None, image=None, name="P-1"):
    mask = np.zeros(SHAPE, np.uint8)
    for place, value in (labels or {(20, 20, 1): 1, (21, 20, 1): 2}).items():
        mask[place] = value
    image = head() if image is None else image
    write_exam(root / name, channels=("t1",), shape=SHAPE, labels=mask, arrays={"t1": image})
    return read_patients(nifti.find_patients(root, SETTINGS).patients, seen)


def said(patients, reason):
    return [str(one) for one in remarks_of(patients) if one.reason == reason]


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        (None, 0),
        (Preprocessing("zscore", "none", 32), 0),
        (Preprocessing("zscore", "brain", 32), 1),
        (Preprocessing("zscore", "none", 10, spacing=1.0), 2),
    ],
)
def test_tumour_outside_the_square_is_said_with_its_share(tmp_path, seen, lost):
    labels = {(20, 20, 1): 1, (21, 20, 1): 2, (8, 20, 1): 2, (20, 0, 1): 2}

    patients = opened(tmp_path, seen, labels)

    assert patients[0].cut_off == lost
    share = f"P-1, {lost} of 4 pixels of the tumour ({lost / 4:.1%})"
    assert said(patients, CUT_OFF) == ([f"{CUT_OFF}: 1 ({share})."] if lost else [])


def test_values_that_no_mask_holds_are_said(tmp_path):
    both = opened(tmp_path)
    assert said(both, UNMET) == []

    ones = opened(tmp_path, labels={(20, 20, 1): 1})
    assert said(ones, UNMET) == [f"{UNMET}: 1 (2, of the region whole)."]
    assert said([replace(one, masks=()) for one in ones], UNMET) == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint16])
def test_the_same_exam_in_another_type_of_numbers_is_found(tmp_path, dtype):
    opened(tmp_path)
    both = opened(tmp_path, image=head().astype(dtype), name="Q-1")

    assert both[0].pictures == both[1].pictures
    with pytest.raises(DataError, match="The same picture stands under two patients"):
        refuse_leak(both)


def test_numbers_that_are_not_whole_are_others(tmp_path):
    opened(tmp_path)
    both = opened(tmp_path, image=head() + np.float32(0.25), name="Q-1")

    assert not {*both[0].pictures} & {*both[1].pictures} - {""}


def test_one_absurd_voxel_does_not_flatten_the_others(tmp_path):
    shape = (1, 3, 120, 120)
    channels = np.random.default_rng(0).normal(500, 50, shape).astype(np.float32)
    preprocessing = Preprocessing("zscore", "none", 120)
    before = geometry_of(Volume(channels, None), preprocessing)

    channels[0, 1, 60, 60], channels[0, 1, 60, 61] = 1e9, -1e6  # the second hides behind the first
    after = geometry_of(Volume(channels, None), preprocessing)
    cut = cut_slice(np.moveaxis(channels[:, 1], 0, -1), after, 120)

    assert after.offset == pytest.approx(before.offset, rel=1e-3)
    assert after.scale == pytest.approx(before.scale, rel=1e-3)
    assert cut[60, 60, 0] == 100 and cut[60, 61, 0] == -100 and np.abs(cut).max() == 100
    assert far_voxels(channels.reshape(-1, 1)) == [2]


def test_levels_of_exams_as_they_are_stay_to_the_bit():
    voxels = np.random.default_rng(0).gamma(2, 100, (50_000, 2)).astype(np.float32)

    mean, deviation = levels_of(voxels)

    assert np.array_equal(mean, voxels.mean(axis=0, dtype=np.float64))
    assert np.array_equal(deviation, voxels.std(axis=0, dtype=np.float64))
    assert far_voxels(voxels) == [0, 0] and far_voxels(voxels[:0]) == [0, 0]


def test_voxels_far_away_are_said(tmp_path):
    image = np.zeros((150, 150, 3), np.int32)
    image[10:140, 10:140] = np.random.default_rng(0).integers(100, 900, (130, 130, 3))
    image[70, 70, 1] = 10**9
    write_exam(tmp_path / "P-1", channels=("t1",), shape=image.shape, arrays={"t1": image})

    (patient,) = read_patients(
        nifti.find_patients(tmp_path, replace(SETTINGS, ignored=(4,))).patients
    )

    (one,) = [one for one in remarks_of([patient]) if "standard deviations" in one.reason]
    assert one.example == "P-1, t1: 1 of 50700"

"""HD95 against distances measured by hand, then brute force, then MONAI."""

import warnings
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion, gaussian_filter
from scipy.spatial.distance import cdist

from roundelay.evaluation.distance import diagonal, hd95

masks = arrays(np.bool_, (3, 5, 4))
marked_masks = masks.filter(np.any)
spacings = st.none() | st.tuples(*[st.floats(0.2, 8)] * 3)


def points(shape, *places):
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


def blob(shape, seed, share=0.06, wide=2.0):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), wide)
    return noise > np.quantile(noise, 1 - share)


def brute_force(prediction, reference, spacing):
    """The definition word for word: every surface voxel against every other."""
    scale = np.ones(prediction.ndim) if spacing is None else np.array(spacing)
    ends = [np.argwhere(mask & ~binary_erosion(mask)) * scale for mask in (prediction, reference)]
    distances = cdist(*ends)
    return max(np.percentile(distances.min(axis=axis), 95) for axis in (0, 1))


def test_two_voxels_three_and_four_apart_have_distance_five():
    shape = (2, 8, 8)

    assert hd95(points(shape, (0, 0, 0)), points(shape, (0, 3, 4))) == 5


def test_spacing_stretches_each_axis_in_the_order_slices_height_width():
    shape = (4, 8, 8)
    here, there = points(shape, (0, 0, 0)), points(shape, (2, 3, 4))

    assert hd95(here, there, (5, 1, 0.5)) == pytest.approx(sqrt(10**2 + 3**2 + 2**2))


def test_without_spacing_every_axis_counts_one_pixel():
    shape = (4, 8, 8)
    here, there = points(shape, (0, 0, 0)), points(shape, (2, 3, 4))

    assert hd95(here, there) == hd95(here, there, (1, 1, 1)) == pytest.approx(sqrt(29))


def test_the_larger_of_two_directed_percentiles_counts_whichever_mask_is_the_prediction():
    row = np.ones((1, 21), bool)
    end = points((1, 21), (0, 0))

    # from the row: 0, 1, ... 20, of which the 95th percentile is 19; from its end: 0
    assert hd95(row, end) == pytest.approx(19)
    assert hd95(end, row) == pytest.approx(19)


def test_the_percentile_is_linear_between_two_distances():
    row = np.ones((1, 11), bool)
    end = points((1, 11), (0, 0))

    assert hd95(row, end) == pytest.approx(9.5)


def test_only_the_surface_counts_and_the_border_of_the_volume_is_surface():
    full = np.ones((5, 5), bool)
    centre = points((5, 5), (2, 2))

    # the 16 voxels of the rim: 4 at 2, 8 at the root of 5, 4 at the root of 8
    assert hd95(full, centre) == pytest.approx(sqrt(8))


def test_a_voxel_whose_faces_are_all_covered_is_inside_though_its_corners_are_open():
    plus = points((5, 20), (1, 4), (2, 3), (2, 4), (2, 5), (3, 4))
    far = points((5, 20), (2, 14))

    # arms at 9, 11 and twice the root of 101; the centre, at 10, is not surface
    assert hd95(plus, far) == pytest.approx(np.percentile([9, 11, sqrt(101), sqrt(101)], 95))


def test_two_empty_masks_have_distance_zero():
    empty = np.zeros((3, 4, 5), bool)

    assert hd95(empty, empty) == 0
    assert hd95(empty, empty, (5, 1, 1)) == 0


@pytest.mark.parametrize("spacing", [None, (5.0, 1.0, 2.0)])
def test_one_empty_mask_counts_as_the_diagonal_of_the_volume_in_the_unit_of_spacing(spacing):
    empty, marked = np.zeros((3, 4, 12), bool), points((3, 4, 12), (1, 1, 1))
    expected = 13 if spacing is None else sqrt(15**2 + 4**2 + 24**2)

    assert hd95(empty, marked, spacing) == pytest.approx(expected)
    assert hd95(marked, empty, spacing) == pytest.approx(expected)


def test_the_diagonal_is_the_one_that_brats_counts_for_a_missing_mask():
    assert diagonal((240, 240, 155)) == pytest.approx(373.128664)


def test_slices_of_two_axes_work_and_are_as_one_slice_of_a_volume():
    one, other = blob((30, 40), 1), blob((30, 40), 2)

    flat = hd95(one, other, (0.9, 1.1))

    assert flat == pytest.approx(brute_force(one, other, (0.9, 1.1)))
    assert flat > 0


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -1), (1, 1, float("nan"))])
def test_a_spacing_that_is_no_length_for_each_axis_is_refused(spacing):
    one = np.ones((2, 2, 2), bool)

    with pytest.raises(ValueError, match="must be 3 lengths above 0"):
        hd95(one, one, spacing)


def test_masks_of_other_shape_or_type_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        hd95(np.ones((2, 2), bool), np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="must be boolean"):
        hd95(np.ones((2, 2)), np.ones((2, 2), bool))


def test_the_masks_are_left_as_they_were():
    one, other = blob((6, 12, 12), 1), blob((6, 12, 12), 2)
    before = one.copy(), other.copy()

    hd95(one, other)

    assert np.array_equal(one, before[0]) and np.array_equal(other, before[1])


@settings(deadline=None)
@given(marked_masks, marked_masks, spacings)
def test_distance_is_that_of_every_surface_voxel_against_every_other(one, other, spacing):
    assert hd95(one, other, spacing) == pytest.approx(brute_force(one, other, spacing), abs=1e-9)


@settings(deadline=None)
@given(masks, masks, spacings)
def test_distance_is_symmetric_and_at_most_the_diagonal(one, other, spacing):
    distance = hd95(one, other, spacing)

    assert distance == hd95(other, one, spacing)
    assert 0 <= distance <= diagonal(one.shape, spacing)


@settings(deadline=None)
@given(masks, spacings)
def test_a_mask_has_distance_zero_to_itself(one, spacing):
    assert hd95(one, one, spacing) == 0


@settings(deadline=None)
@given(marked_masks, marked_masks, st.tuples(*[st.integers(0, 3)] * 3))
def test_moving_both_masks_leaves_the_distance_as_it_was(one, other, shift):
    still = [np.pad(each, ((0, 3),) * 3) for each in (one, other)]
    moved = [np.roll(each, shift, axis=(0, 1, 2)) for each in still]

    assert hd95(*moved) == pytest.approx(hd95(*still))


@settings(deadline=None)
@given(masks, masks, st.sampled_from([0.5, 2.0, 4.0]))
def test_twice_the_spacing_is_twice_the_distance(one, other, factor):
    assert hd95(one, other, (factor,) * 3) == pytest.approx(factor * hd95(one, other))


@pytest.fixture(scope="module")
def monai_hd95():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from monai.metrics.hausdorff_distance import compute_hausdorff_distance

    def of(prediction, reference, spacing):
        pair = [
            torch.from_numpy(each.astype(np.float32))[None, None]
            for each in (prediction, reference)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compute_hausdorff_distance(
                *pair, include_background=True, percentile=95, spacing=spacing
            ).item()

    return of


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0), (5.0, 0.9, 1.1), (0.7, 3.0, 2.0)])
@pytest.mark.parametrize("seed", range(6))
def test_distance_is_that_of_monai_on_random_blobs(monai_hd95, spacing, seed):
    shape = (10, 28, 24)
    prediction, reference = blob(shape, seed), blob(shape, 100 + seed, share=0.1)

    distance = hd95(prediction, reference, spacing)

    assert distance == pytest.approx(monai_hd95(prediction, reference, spacing), abs=1e-5)
    assert distance > 1


def test_distance_is_that_of_monai_where_a_stray_voxel_lies_in_a_corner(monai_hd95):
    reference = blob((10, 28, 24), 1)
    prediction = np.roll(reference, 1, axis=2)
    prediction[0, 0, 0] = prediction[-1, -1, -1] = True

    distance = hd95(prediction, reference, (5, 1, 1))

    assert distance == pytest.approx(monai_hd95(prediction, reference, (5, 1, 1)), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_distance_in_one_slice_is_that_of_monai(monai_hd95, seed):
    prediction, reference = blob((48, 40), seed), blob((48, 40), 100 + seed)

    assert hd95(prediction, reference, (0.8, 1.3)) == pytest.approx(
        monai_hd95(prediction, reference, (0.8, 1.3)), abs=1e-5
    )

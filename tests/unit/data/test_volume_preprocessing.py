"""Exams of more than 8 bits: squares in millimetres, a common scale, and the way back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from roundelay.data.grids import grid_of
from roundelay.data.preprocessing import (
    CropGeometry,
    Preprocessing,
    cut_mask,
    cut_slice,
    geometry_of,
)
from roundelay.data.volumes import Volume
from roundelay.learning.inputs import scaled, undo_crop

PLAIN = Preprocessing("zscore", "none", 32)
BRAIN = Preprocessing("zscore", "brain", 32)


def exam(channels, row=1.0, column=1.0):
    """Axial slices of 5 mm, whose pixels are `row` high and `column` wide."""
    shape = channels.shape[1:][::-1]
    grid = grid_of(shape, np.diag([-column, -row, 5.0, 1.0]), "axial", "an exam")
    return Volume(channels, None, grid)


def box(top, bottom, left, right, shape=(2, 60, 60), dtype=np.int16):
    """Numbers within the rectangle (last row and column included), 0 around it."""
    rng = np.random.default_rng(1)
    channels = np.zeros((2, *shape), dtype)
    inside = channels[:, :, top : bottom + 1, left : right + 1]
    inside[:] = rng.integers(100, 900, inside.shape)
    return channels


def place(volume, preprocessing):
    found = geometry_of(volume, preprocessing)
    return found.top, found.left, found.height, found.width


def test_with_pixels_twice_as_high_as_wide_the_square_has_half_as_many_rows():
    # Rows 20 to 29 are 20 mm, columns 10 to 29 are 20 mm: with 4 pixels of 1 mm beside them 28.
    assert place(exam(box(20, 29, 10, 29), row=2.0), BRAIN) == (18, 6, 14, 28)


def test_without_a_crop_the_longer_side_in_millimetres_gives_the_square():
    volume = exam(box(1, 38, 1, 58, shape=(2, 40, 60)), row=2.0)

    assert place(volume, PLAIN) == (0, -10, 40, 80)


@pytest.mark.parametrize("crop", ["none", "brain"])
def test_a_spacing_makes_the_square_as_large_as_it_says(crop):
    preprocessing = Preprocessing("zscore", crop, 32, spacing=1.5)

    top, left, height, width = place(exam(box(10, 49, 10, 49), row=1.0, column=0.5), preprocessing)

    assert (height, width) == (48, 96)  # 32 pixels of 1.5 mm, in rows of 1 and columns of 0.5
    assert (top, left) == (6, -18)


@pytest.mark.parametrize(("row", "column"), [(0.9, 0.9), (0.7, 1.1), (1.2, 0.8)])
def test_a_pixel_of_the_square_is_as_many_millimetres_as_the_study_says(row, column):
    channels = np.zeros((2, 2, 60, 60), np.float32)
    channels[0], channels[1] = np.indices((60, 60), np.float32) + 0.5
    volume = exam(channels, row, column)
    geometry = geometry_of(volume, Preprocessing("zscore", "none", 32, spacing=1.0))
    plain = replace(geometry, offset=(0.0, 0.0), scale=(1.0, 1.0))

    cut = cut_slice(volume.slices[0], plain, 32).astype(float)

    steps = np.arange(32) - 15.5  # millimetres from the middle
    assert cut[:, 16, 0] == pytest.approx(30 + steps / row, abs=0.1)
    assert cut[16, :, 1] == pytest.approx(30 + steps / column, abs=0.1)


@pytest.mark.parametrize("crop", ["none", "brain"])
@pytest.mark.parametrize("spacing", [0.7, 1.1, 1.6])
def test_a_mask_comes_back_from_any_spacing_where_it_was(crop, spacing):
    volume = exam(box(10, 46, 8, 51), row=0.83, column=1.04)
    preprocessing = Preprocessing("zscore", crop, 64, spacing=spacing)
    geometry = geometry_of(volume, preprocessing)
    rows, columns = np.indices((60, 60))
    mask = ((rows - 30) / 11) ** 2 + ((columns - 27) / 9) ** 2 < 1

    cut = cut_mask(mask, geometry, 64)
    whole = undo_crop(torch.from_numpy(cut[None, None]).float(), geometry, mask.shape)
    back = whole[0, 0].numpy() > 0.5

    assert geometry.exact is not None and cut.any()
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.96
    middles = [np.argwhere(one).mean(axis=0) for one in (back, mask)]
    assert middles[0] == pytest.approx(middles[1], abs=0.15)
    area = cut.sum() * spacing**2 / (0.83 * 1.04)
    assert area == pytest.approx(mask.sum(), rel=0.05)


def test_what_lies_outside_a_square_of_broken_pixels_is_no_tumour():
    volume = exam(box(10, 46, 8, 51), row=0.83, column=0.83)
    geometry = geometry_of(volume, Preprocessing("zscore", "none", 32, spacing=1.0))

    whole = undo_crop(torch.ones(1, 1, 32, 32), geometry, (60, 60))[0, 0].numpy()

    seen = np.zeros((60, 60), bool)
    top, left = geometry.top, geometry.left
    seen[top : top + geometry.height, left : left + geometry.width] = True
    assert geometry.height == geometry.width == 38  # 32 mm are 38.55 pixels; 30 is the middle
    assert np.array_equal(whole, seen)


def test_a_mask_at_the_edge_does_not_go_on_beyond_it():
    mask = np.zeros((20, 20), bool)
    mask[:, 17:] = True
    geometry = CropGeometry(-6, -6, 32, 32, (0.0,), (1.0,), exact=(-6.2, -6.2, 32.4, 32.4))

    cut = cut_mask(mask, geometry, 32)

    assert cut.any() and not cut[:, 27:].any() and not cut[:6].any()


@pytest.mark.parametrize("intensity", ["zscore", "zscore_inner"])
@pytest.mark.parametrize(("factor", "shift"), [(7.0, 0.0), (0.001, 0.0), (2.0, -500.0)])
def test_another_scale_of_greys_changes_nothing_that_the_network_sees(intensity, factor, shift):
    channels = box(10, 49, 10, 49).astype(np.float32)
    other = channels * np.float32(factor) + np.float32(shift)
    preprocessing = Preprocessing(intensity, "brain", 32)

    seen = [
        cut_slice(one.slices[0], geometry_of(one, preprocessing), 32)
        for one in (exam(channels), exam(other))
    ]

    assert seen[0].dtype == np.float16
    assert np.allclose(seen[0].astype(float), seen[1].astype(float), atol=4e-3)


def test_the_z_score_is_of_the_head_alone():
    channels = box(10, 49, 10, 49)
    found = geometry_of(exam(channels), PLAIN)

    inside = channels[:, :, 10:50, 10:50].reshape(2, -1)
    assert found.offset == pytest.approx(inside.mean(axis=1))
    assert found.scale == pytest.approx(inside.std(axis=1))


def test_numbers_that_are_no_eight_bits_are_on_the_common_scale_before_a_batch_is_made():
    channels = box(10, 49, 10, 49)
    volume = exam(channels)
    geometry = geometry_of(volume, Preprocessing("zscore", "none", 60))
    cut = cut_slice(volume.slices[0], geometry, 60)

    batch = scaled(torch.from_numpy(cut[None]), [geometry])

    wanted = (channels[:, 0] - np.array(geometry.offset)[:, None, None]) / np.array(geometry.scale)[
        :, None, None
    ]
    assert batch.shape == (1, 2, 60, 60) and batch.dtype == torch.float32
    assert np.allclose(batch[0].numpy(), wanted, atol=2e-3)


def test_a_channel_of_one_value_and_a_missing_one_become_nothing():
    channels = box(10, 49, 10, 49)
    channels[1] = 0
    volume = exam(channels)

    cut = cut_slice(volume.slices[0], geometry_of(volume, BRAIN), 32)

    assert np.isfinite(cut).all() and (cut[..., 1] == 0).all() and cut[..., 0].std() > 0.1


def test_beyond_the_edge_goes_on_what_stands_at_it():
    image = np.full((20, 20, 1), -90, np.int16)
    image[5:15, 5:15] = 50
    geometry = CropGeometry(-10, -10, 40, 40, (0.0,), (1.0,))

    cut = cut_slice(image, geometry, 40)

    assert (cut[:15, :, 0] == -90).all() and (cut[15:25, 15:25, 0] == 50).all()


def test_a_mask_in_pixels_that_are_no_squares_comes_back_where_it_was():
    mask = np.zeros((40, 60), bool)
    mask[12:24, 20:44] = True
    geometry = CropGeometry(4, 8, 24, 48, (0.0,), (1.0,))

    cut = cut_mask(mask, geometry, 48)
    back = undo_crop(torch.from_numpy(cut[None, None]).float(), geometry, mask.shape)

    assert cut.sum() == 2 * mask.sum()  # rows became twice as many
    assert np.array_equal(back[0, 0].numpy() > 0.5, mask)

"""The square that the network sees: where it lies, that it is undone exactly; the grey scale."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from roundelay.data.preprocessing import (
    MARGIN,
    CropGeometry,
    Preprocessing,
    cut_slice,
    geometry_of,
)
from roundelay.data.volumes import Volume
from roundelay.learning.inputs import scaled, undo_crop

BRAIN = Preprocessing("zscore", "brain", 32)
NONE = Preprocessing("zscore", "none", 32)


def volume(height, width, top, bottom, left, right, slices=2):
    """Grey 100 within the rectangle (last row and column included), black elsewhere."""
    images = np.zeros((slices, height, width, 3), np.uint8)
    images[:, top : bottom + 1, left : right + 1] = 100
    return images


def exam(images):
    return Volume(np.moveaxis(images, -1, 0), None)


def place(images, preprocessing=BRAIN):
    found = geometry_of(exam(images), preprocessing)
    assert found.height == found.width
    return found.top, found.left, found.width


def test_the_square_is_as_large_as_the_longer_side_of_the_brain_and_a_margin():
    # rows 20 to 49 (30 of them), columns 30 to 39: the side is 30 + 2 * 4
    assert place(volume(100, 100, 20, 49, 30, 39)) == (16, 16, 38)


@pytest.mark.parametrize(
    ("corner", "expected"),
    [
        ((0, 19, 0, 19), (-4, -4, 28)),
        ((80, 99, 80, 99), (76, 76, 28)),
        ((0, 19, 80, 99), (-4, 76, 28)),
    ],
)
def test_at_an_edge_the_square_reaches_over_it_and_keeps_its_size(corner, expected):
    assert place(volume(100, 100, *corner)) == expected


def test_a_brain_that_fills_the_slice_is_not_made_smaller_by_the_margin():
    assert place(volume(100, 100, 0, 99, 0, 99)) == (0, 0, 100)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((60, 100), (-20, 0, 100)), ((100, 60), (0, -20, 100)), ((64, 64), (0, 0, 64))],
)
def test_without_a_crop_the_whole_slice_lies_in_the_middle_of_a_square(shape, expected):
    height, width = shape
    images = volume(height, width, 10, 20, 10, 20)

    assert place(images, NONE) == expected
    assert place(np.zeros_like(images), BRAIN) == expected  # no brain to be found


def test_specks_outside_the_brain_do_not_stretch_the_square():
    images = volume(400, 400, 100, 199, 100, 199, slices=1)
    images[0, 3, 3] = images[0, 390, 5] = 255

    assert place(images) == (96, 96, 108)


@settings(deadline=None)
@given(st.data())
def test_the_brain_lies_in_the_middle_of_the_square_wherever_it_is(data):
    height, width = data.draw(st.integers(30, 90)), data.draw(st.integers(30, 90))
    top, left = data.draw(st.integers(0, height - 10)), data.draw(st.integers(0, width - 10))
    bottom = data.draw(st.integers(top + 8, height - 1))
    right = data.draw(st.integers(left + 8, width - 1))

    found = geometry_of(exam(volume(height, width, top, bottom, left, right)), BRAIN)

    longest = max(bottom - top, right - left) + 1
    assert found.width == min(longest + 2 * MARGIN, max(height, width))
    assert found.box == (
        found.left, found.top, found.left + found.width, found.top + found.width,
    )  # fmt: skip
    for first, last, begin in ((top, bottom, found.top), (left, right, found.left)):
        before, after = first - begin, begin + found.width - 1 - last
        assert abs(before - after) <= 1 and min(before, after) >= 0


def test_what_lies_over_the_edge_is_black():
    image = volume(100, 100, 0, 19, 0, 19)[0]
    cut = cut_slice(image, geometry_of(exam(image[None]), BRAIN), 28)

    assert (cut[:4] == 0).all() and (cut[:, :4] == 0).all()
    assert (cut[4:24, 4:24] == 100).all() and (cut[24:] == 0).all()


@settings(deadline=None)
@given(st.data())
def test_without_a_change_of_size_a_cut_is_undone_exactly(data):
    height, width = data.draw(st.integers(40, 70)), data.draw(st.integers(40, 70))
    side = data.draw(st.integers(16, 80))
    top = data.draw(st.integers(1 - side, height - 1))
    left = data.draw(st.integers(1 - side, width - 1))
    rng = np.random.default_rng(0)
    image = rng.integers(1, 256, (height, width, 1), np.uint8).repeat(3, 2)
    geometry = CropGeometry(top, left, side, side, (0.0,) * 3, (1.0,) * 3)

    cut = cut_slice(image, geometry, side)
    back = undo_crop(
        torch.from_numpy(cut[None, None, :, :, 0].copy()).float(), geometry, (height, width)
    )

    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    seen = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    assert np.array_equal(back[0, 0].numpy(), np.where(seen, image[..., 0], 0))


@pytest.mark.parametrize(("top", "left"), [(10, 20), (-6, -9), (50, 60)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_ramp_that_was_made_half_as_large_comes_back_exactly(top, left, axis):
    """Linear both times: at any other offset of half a pixel or more the numbers would differ."""
    ramp = np.arange(100) * 2
    image = np.broadcast_to(ramp[:, None] if axis == 0 else ramp[None], (100, 100))
    image = image.astype(np.uint8)[..., None].repeat(3, 2)
    geometry = CropGeometry(top, left, 64, 64, (0.0,) * 3, (1.0,) * 3)

    cut = cut_slice(image, geometry, 32)
    back = undo_crop(
        torch.from_numpy(cut[None, None, :, :, 0].copy()).float(), geometry, (100, 100)
    )

    # Three pixels from the square's edge, and from the image's own, neighbours are missing.
    begin, end = (max(v, 0) + 3 for v in (top, left)), (min(v + 64, 100) - 3 for v in (top, left))
    inner = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
    assert np.array_equal(back[0, 0].numpy()[inner], image[..., 0][inner])
    outside = np.ones((100, 100), bool)
    outside[max(top, 0) : top + 64, max(left, 0) : left + 64] = False
    assert (back[0, 0].numpy()[outside] == 0).all()


@pytest.mark.parametrize("intensity", ["zscore", "percentile"])
def test_a_channel_of_one_grey_level_becomes_nothing_and_no_number_is_lost(intensity):
    images = volume(40, 40, 5, 30, 5, 30)
    images[..., 1] = np.random.default_rng(0).integers(50, 200, images.shape[:3])
    images[..., 2] = 77

    geometry = geometry_of(exam(images), Preprocessing(intensity, "none", 40))
    seen = scaled(torch.from_numpy(images), [geometry] * len(images))

    assert geometry.offset[2] == 77 and geometry.scale[2] == 1
    assert torch.isfinite(seen).all()
    assert (seen[:, 2] == 0).all() and seen[:, 1].abs().max() > 0.5


def test_an_empty_volume_has_a_geometry_too():
    geometry = geometry_of(exam(np.zeros((2, 40, 40, 3), np.uint8)), BRAIN)

    assert (geometry.offset, geometry.scale) == ((0.0,) * 3, (1.0,) * 3)


def test_the_grey_scale_is_of_the_brain_alone_and_by_channel():
    images = volume(40, 40, 10, 29, 10, 29)
    images[:, 10:20, 10:30] = (100, 20, 200)
    images[:, 20:30, 10:30] = (140, 40, 200)

    zscore = geometry_of(exam(images), NONE)
    percentile = geometry_of(exam(images), Preprocessing("percentile", "none", 32))

    assert zscore.offset == pytest.approx((120, 30, 200))
    assert zscore.scale == pytest.approx((20, 10, 1))
    assert percentile.offset == pytest.approx((100, 20, 200))
    assert percentile.scale == pytest.approx((40, 20, 1))

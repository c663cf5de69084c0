"""Which voxels are the patient's: of cut-out heads, of noisy ones, on any scale of greys."""

import numpy as np
import pytest

from roundelay.data.head import head_of, inner_of

DISC = (np.indices((48, 48)) - 24) ** 2


def disc(radius):
    return DISC.sum(axis=0) < radius**2


def exam(inside, *channels):
    """``[2, 48, 48, channel]`` of functions of a generator, within the disc and around it."""
    rng = np.random.default_rng(0)
    found = []
    for within, around in channels:
        plane = np.where(inside, within(rng, (2, 48, 48)), around(rng, (2, 48, 48)))
        found.append(plane)
    return np.stack(found, axis=-1).astype(np.float32)


def tissue(rng, shape):
    return rng.normal(400, 100, shape)


def noise(rng, shape):
    return rng.normal(5, 3, shape)


def nothing(_rng, shape):
    return np.zeros(shape)


def test_of_a_head_that_was_cut_out_all_is_kept_that_is_not_the_borders_value():
    images = exam(disc(16), (tissue, nothing))
    images[:, 24, 24] = -7  # below the background, as a resampled edge is

    assert np.array_equal(head_of(images), np.broadcast_to(disc(16), (2, 48, 48)))


def test_a_voxel_that_is_background_in_one_channel_is_the_patients_by_another():
    images = exam(disc(16), (tissue, nothing), (tissue, nothing))
    images[0, 20, 20, 0] = 0

    assert head_of(images)[0, 20, 20]


def test_of_a_noisy_head_what_is_bright_is_kept():
    found = head_of(exam(disc(16), (tissue, noise), (tissue, noise)))

    assert (found == disc(16)).mean() > 0.995


@pytest.mark.parametrize(("factor", "shift"), [(1e-4, 0.0), (3.0, -1000.0), (1e4, 50.0)])
def test_another_scale_of_greys_gives_the_same_head(factor, shift):
    images = exam(disc(16), (tissue, noise))

    assert (head_of(images * factor + shift) == head_of(images)).mean() > 0.9999


def test_a_channel_of_one_value_says_nothing():
    alone = exam(disc(16), (tissue, noise))
    images = np.concatenate([alone, np.zeros_like(alone)], axis=-1)

    assert np.array_equal(head_of(images), head_of(alone))
    assert not head_of(np.zeros((2, 8, 8, 3), np.int16)).any()


def test_the_inner_head_begins_at_its_share_of_the_area_and_has_no_holes():
    head = np.broadcast_to(disc(16), (2, 48, 48)).copy()
    head[:, 24, 24] = False

    found = inner_of(head)

    depth = 0.11 * np.sqrt(disc(16).sum())
    assert found[0, 24, 24]
    assert abs(np.sqrt(found[0].sum() / np.pi) - (16 - depth)) < 1
    assert np.array_equal(inner_of(head & False), head & False)

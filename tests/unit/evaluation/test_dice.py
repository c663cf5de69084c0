"""Dice against masks counted by hand, then against MONAI."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from roundelay.evaluation.dice import Overlap, dice

SHAPE = (3, 4, 5)
masks = arrays(np.bool_, SHAPE)


def mask(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def test_one_shared_voxel_of_two_and_three_is_two_fifths():
    prediction = mask("##..", "....")
    reference = mask(".##.", "..#.")

    assert dice(prediction, reference) == pytest.approx(2 / 5, abs=0)


def test_masks_that_share_nothing_have_dice_zero():
    assert dice(mask("##.."), mask("..##")) == 0


def test_two_empty_masks_have_dice_one():
    assert dice(np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)) == 1


def test_one_empty_mask_has_dice_zero_either_way():
    empty, full = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)

    assert dice(empty, full) == 0
    assert dice(full, empty) == 0


def test_masks_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 4, 5\) and reference \(1, 4, 5\) differ in shape"):
        dice(np.ones((3, 4, 5), bool), np.ones((1, 4, 5), bool))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_masks_that_are_not_boolean_are_refused_on_either_side(dtype):
    good, bad = np.ones(SHAPE, bool), np.ones(SHAPE, dtype)

    with pytest.raises(ValueError, match=f"prediction must be boolean, not {dtype.__name__}"):
        dice(bad, good)
    with pytest.raises(ValueError, match=f"reference must be boolean, not {dtype.__name__}"):
        dice(good, bad)


def test_overlap_counts_right_wrong_and_missed_voxels():
    assert Overlap.of(mask("###.."), mask(".####")) == Overlap(tp=2, fp=1, fn=2)


def test_the_dice_of_a_sum_is_pooled_and_no_mean_of_dices():
    large, missed = Overlap(tp=90, fp=10, fn=10), Overlap(tp=0, fp=0, fn=10)

    assert (large + missed).dice == pytest.approx(180 / 210)
    assert (large.dice + missed.dice) / 2 == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap(0, 0, 0), False),
        (Overlap(0, 3, 0), True),
        (Overlap(0, 0, 3), True),
        (Overlap(0, 3, 3), False),
        (Overlap(1, 0, 0), False),
    ],
)
def test_overlap_knows_whether_exactly_one_mask_was_empty(overlap, expected):
    assert overlap.one_empty is expected


@given(masks, masks)
def test_dice_is_symmetric_and_between_zero_and_one(one, other):
    assert dice(one, other) == dice(other, one)
    assert 0 <= dice(one, other) <= 1


@given(masks)
def test_a_mask_has_dice_one_with_itself_alone(one):
    other = one.copy()
    other[0, 0, 0] ^= True

    assert dice(one, one) == 1
    assert dice(one, other) < 1


@given(masks, masks, st.tuples(*[st.integers(-4, 4)] * 3))
def test_moving_both_masks_leaves_dice_as_it_was(one, other, shift):
    moved = [np.roll(each, shift, axis=(0, 1, 2)) for each in (one, other)]

    assert dice(*moved) == dice(one, other)


@given(st.lists(st.tuples(masks, masks), min_size=1, max_size=3))
def test_pooled_dice_is_the_dice_of_the_masks_laid_end_to_end(pairs):
    total = sum((Overlap.of(*pair) for pair in pairs), Overlap(0, 0, 0))
    predictions, references = (np.concatenate(side) for side in zip(*pairs, strict=True))

    assert total.dice == dice(predictions, references)


@pytest.fixture(scope="module")
def monai_dice():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from monai.metrics.meandice import compute_dice

    def of(prediction, reference):
        pair = [
            torch.from_numpy(each.astype(np.float32))[None, None]
            for each in (prediction, reference)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compute_dice(*pair).item()

    return of


@pytest.mark.parametrize("share", [0.01, 0.2, 0.7])
def test_dice_is_that_of_monai_on_random_masks(monai_dice, share):
    random = np.random.default_rng(3)
    prediction, reference = (random.random((7, 16, 12)) < share for _ in range(2))

    assert dice(prediction, reference) == pytest.approx(monai_dice(prediction, reference), abs=1e-6)

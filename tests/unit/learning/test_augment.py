"""Augmentation: what stays, what moves together, how far, and on whose randomness."""

from dataclasses import replace

import pytest
import torch

from roundelay.learning.augment import Augmentation, augment

NOTHING = Augmentation(
    flip=False, rotation_degrees=0, scale=0, shift=0, gain=0, offset=0, gamma=0, channel_dropout=0
)
MOVES = replace(Augmentation(), gain=0, offset=0, gamma=0)
LEVELS = {"gain": 0.2, "offset": 0.1, "gamma": 0.3}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(batch=4, channels=3, height=32, width=32):
    images = torch.randn(batch, channels, height, width, generator=generator(9))
    masks = (torch.rand(batch, 1, height, width, generator=generator(8)) < 0.2).float()
    return images, masks


def squares(batch=1, size=96):
    """A bright square off the centre on black; its mask."""
    masks = torch.zeros(batch, 1, size, size)
    masks[:, :, 24:48, 40:72] = 1
    return (masks * 3 - 1).repeat(1, 3, 1, 1), masks


def brains(batch=1, height=48):
    """Background -2 with three grey levels inside; no masks of interest."""
    images = torch.full((batch, 3, height, height), -2.0)
    images[:, :, 8:16, 8:40], images[:, :, 16:32, 8:40], images[:, :, 32:40, 8:40] = -0.5, 0.0, 2.0
    return images, torch.zeros(batch, 1, height, height)


def extent(masks):
    rows, columns = masks[0, 0].any(1).nonzero(), masks[0, 0].any(0).nonzero()
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_with_every_setting_at_zero_the_input_comes_back_bit_for_bit():
    images, masks = noise()

    found = augment(images, masks, generator(), NOTHING)

    assert torch.equal(found[0], images)
    assert torch.equal(found[1], masks)


def test_the_input_itself_is_left_as_it_was():
    images, masks = noise()
    kept = images.clone(), masks.clone()

    augment(images, masks, generator(), Augmentation(channel_dropout=0.5))

    assert torch.equal(images, kept[0])
    assert torch.equal(masks, kept[1])


def test_shapes_and_types_stay_and_masks_hold_only_0_and_1():
    images, masks = noise(height=48, width=32)

    found = augment(images, masks, generator(), Augmentation())

    assert [t.shape for t in found] == [images.shape, masks.shape]
    assert [t.dtype for t in found] == [torch.float32, torch.float32]
    assert set(found[1].unique().tolist()) == {0.0, 1.0}
    assert torch.isfinite(found[0]).all()


def test_a_mask_stays_on_the_bright_square_that_it_marks():
    images, masks = squares(batch=32)

    moved, marks = augment(images, masks, generator(), MOVES)

    assert not torch.equal(marks, masks)
    bright = (moved > 0.5).float()
    differing = (bright - marks).abs().sum(dim=(1, 2, 3)) / 3
    assert (differing <= 0.02 * marks.sum(dim=(1, 2, 3))).all()


def test_a_flip_is_from_left_to_right_and_hits_every_second_slice():
    images, masks = noise(batch=400, height=8, width=12)

    found, marks = augment(images, masks, generator(), replace(NOTHING, flip=True))

    mirrored = torch.isclose(found, images.flip(-1), atol=1e-4).flatten(1).all(1)
    as_it_was = torch.isclose(found, images, atol=1e-4).flatten(1).all(1)
    assert (mirrored ^ as_it_was).all()
    assert 160 <= int(mirrored.sum()) <= 240
    assert torch.equal(marks[mirrored], masks[mirrored].flip(-1))


def test_a_shift_moves_at_most_its_share_of_the_side():
    images, masks = squares(batch=400)

    _, marks = augment(images, masks, generator(), replace(NOTHING, shift=0.1))

    moves = [extent(mark[None]) for mark in marks]
    tops, lefts = [m[0] - 24 for m in moves], [m[2] - 40 for m in moves]
    for found in (tops, lefts):
        assert -10 <= min(found) <= -9
        assert 9 <= max(found) <= 10
    assert all(m[1] - m[0] == 23 and m[3] - m[2] == 31 for m in moves)
    assert abs(torch.tensor([tops, lefts], dtype=torch.float32).corrcoef()[0, 1]) < 0.2


def test_a_scale_changes_areas_by_at_most_its_square():
    images, masks = squares(batch=400)

    _, marks = augment(images, masks, generator(), replace(NOTHING, scale=0.2))

    areas = (marks.sum(dim=(1, 2, 3)) / masks[0].sum()).sqrt()
    assert 0.78 < areas.min() < 0.82
    assert 1.18 < areas.max() < 1.22


def bars(batch, height, width):
    """A bar of 8 by 72 in the middle."""
    masks = torch.zeros(batch, 1, height, width)
    y, x = height // 2, width // 2
    masks[:, :, y - 4 : y + 4, x - 36 : x + 36] = 1
    return masks.repeat(1, 3, 1, 1), masks


def form(masks):
    """Of each mask: area, angle in degrees, and length over breadth."""
    area = masks.sum(dim=(1, 2, 3))
    y, x = (torch.arange(n) - (n - 1) / 2 for n in masks.shape[-2:])
    weights = masks[:, 0] / area[:, None, None]
    xy = (weights * y[:, None] * x).sum(dim=(1, 2))
    xx, yy = (weights * x**2).sum(dim=(1, 2)), (weights * y[:, None] ** 2).sum(dim=(1, 2))
    apart = ((xx - yy) ** 2 + 4 * xy**2).sqrt()
    angle = torch.rad2deg(torch.atan2(2 * xy, xx - yy) / 2)
    return area, angle, ((xx + yy + apart) / (xx + yy - apart)).sqrt()


@pytest.mark.parametrize(("height", "width"), [(96, 96), (96, 160)])
def test_a_rotation_keeps_areas_and_stays_within_its_angle(height, width):
    images, masks = bars(400, height, width)

    _, marks = augment(images, masks, generator(), replace(NOTHING, rotation_degrees=30))

    area, angle, _ = form(marks)
    assert ((area / 576 > 0.95) & (area / 576 < 1.05)).all()
    assert -30.5 < angle.min() < -28
    assert 28 < angle.max() < 30.5


def test_turned_and_scaled_together_a_bar_keeps_its_form_and_both_are_drawn_apart():
    images, masks = bars(400, 128, 128)

    _, marks = augment(images, masks, generator(), replace(MOVES, rotation_degrees=45, shift=0))

    area, angle, ratio = form(marks)
    assert ((ratio > 7.5) & (ratio < 11)).all()
    for turned in (angle.abs() < 20, angle.abs() > 40):
        lengths = (area[turned] / 576).sqrt()
        assert lengths.min() < 0.85
        assert lengths.max() > 1.15
    assert abs(torch.stack([area, angle]).corrcoef()[0, 1]) < 0.2
    assert abs(torch.stack([area, angle.abs()]).corrcoef()[0, 1]) < 0.2


def test_beyond_the_edge_the_edge_goes_on():
    images = torch.full((8, 3, 32, 32), -1.7)

    found, marks = augment(images, torch.zeros(8, 1, 32, 32), generator(), MOVES)

    assert torch.allclose(found, images)
    assert not marks.any()


@pytest.mark.parametrize("setting", LEVELS)
def test_grey_levels_leave_the_background_and_keep_their_order(setting):
    images, masks = brains(batch=64)

    found, _ = augment(images, masks, generator(), replace(NOTHING, **{setting: LEVELS[setting]}))

    assert torch.equal(found[images == -2.0], images[images == -2.0])
    dark, middle, bright = (found[:, :, row, 20] for row in (10, 20, 35))
    assert ((dark < middle) & (middle < bright) & (dark > -2)).all()
    assert len(torch.unique(middle if setting == "offset" else bright)) > 100


def test_grey_levels_are_those_computed_by_hand():
    images, masks = brains()
    draws = torch.rand(1, 16, generator=generator(3))[0, 5:14].reshape(3, 3) * 2 - 1

    found, _ = augment(images, masks, generator(3), replace(NOTHING, **LEVELS))

    # Above the background: 1.5, 2 and 4, on areas 1 : 2 : 1.
    level = (1.5**2 + 2 * 2**2 + 4**2) / (1.5 + 2 * 2 + 4)
    for channel in range(3):
        gain, offset, gamma = draws[:, channel].tolist()
        for row, above in ((10, 1.5), (20, 2.0), (35, 4.0)):
            share = (above / level) ** (1.3**gamma)
            change = min(share, 1) * (0.2 * gain * (share - 1) + 0.1 * offset)
            value = float(found[0, channel, row, 20])
            assert value == pytest.approx(-2 + level * (share + change), rel=1e-5)


def test_grey_levels_do_not_depend_on_the_scale_of_the_images():
    images, masks = noise()
    settings = replace(NOTHING, **LEVELS)

    one, _ = augment(images, masks, generator(), settings)
    two, _ = augment(images * 0.2 + 3, masks, generator(), settings)

    assert torch.allclose(one * 0.2 + 3, two, atol=1e-5)


def test_a_slice_of_one_grey_level_stays_as_it_is():
    images = torch.tensor([-1.3, 0.0, 2.0]).reshape(1, 3, 1, 1).expand(2, 3, 16, 16)

    found, _ = augment(images, torch.zeros(2, 1, 16, 16), generator(), replace(NOTHING, **LEVELS))

    assert torch.equal(found, images)


def test_a_stand_in_is_flair_in_the_first_or_third_channel_as_often_as_asked():
    images, masks = noise(batch=1000, height=4, width=4)

    found, _ = augment(images, masks, generator(), replace(NOTHING, channel_dropout=0.3))

    assert torch.equal(found[:, 1], images[:, 1])
    replaced = (found != images).flatten(2).any(2)
    for channel in (0, 2):
        chosen = replaced[:, channel]
        assert torch.equal(found[chosen, channel], images[chosen, 1])
        assert 250 <= int(chosen.sum()) <= 350
    assert 60 <= int((replaced[:, 0] & replaced[:, 2]).sum()) <= 120


def test_a_stand_in_is_flair_after_its_own_change_of_grey_levels():
    images, masks = noise()

    found, _ = augment(images, masks, generator(), Augmentation(channel_dropout=1.0))

    assert torch.equal(found[:, 0], found[:, 1])
    assert torch.equal(found[:, 2], found[:, 1])


def test_the_generator_alone_decides():
    images, masks = noise()
    torch.manual_seed(1)
    before = torch.get_rng_state()

    one, same, other = (
        augment(images, masks, generator(seed), Augmentation(channel_dropout=0.2))
        for seed in (0, 0, 1)
    )

    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_setting_does_not_shift_the_draws_of_the_others():
    images, masks = noise()
    one, two = generator(), generator()

    augment(images, masks, one, NOTHING)
    augment(images, masks, two, Augmentation(channel_dropout=0.5))

    assert torch.equal(one.get_state(), two.get_state())


@pytest.mark.parametrize("settings", [MOVES, replace(NOTHING, **LEVELS)])
def test_every_image_of_a_batch_has_draws_of_its_own(settings):
    images, masks = noise(batch=1)

    found, _ = augment(
        images.expand(16, -1, -1, -1), masks.expand(16, -1, -1, -1), generator(), settings
    )

    assert len(torch.unique(found, dim=0)) == 16


def test_channels_change_their_grey_levels_apart_and_move_together():
    images, masks = brains(batch=4)

    moved, _ = augment(images, masks, generator(), MOVES)
    changed, _ = augment(images, masks, generator(), replace(NOTHING, **LEVELS))

    assert torch.equal(moved[:, 0], moved[:, 2])
    assert not torch.equal(changed[:, 0], changed[:, 2])


def test_channels_that_go_missing_together_are_dropped_together_as_often_as_asked():
    images, masks = noise(batch=3000, height=4, width=4)
    together = ((2,), (0, 2), (0, 2))

    found, _ = augment(
        images, masks, generator(), replace(NOTHING, channel_dropout=0.3, dropped_together=together)
    )

    replaced = (found != images).flatten(2).any(2)
    counts = {tuple(row.nonzero().flatten().tolist()): 0 for row in replaced}
    for row in replaced:
        counts[tuple(row.nonzero().flatten().tolist())] += 1
    assert counts.keys() == {(), (2,), (0, 2)}
    assert counts[(2,)] == pytest.approx(300, abs=60)
    assert counts[(0, 2)] == pytest.approx(600, abs=80)
    assert torch.equal(found[:, 2][replaced[:, 2]], images[:, 1][replaced[:, 2]])


def test_what_is_dropped_together_changes_nothing_else_that_is_drawn():
    images, masks = noise()
    each, together = (
        augment(
            images,
            masks,
            generator(),
            replace(Augmentation(), channel_dropout=p, dropped_together=t),
        )
        for p, t in ((0.0, ()), (1e-9, ((2,),)))
    )
    assert torch.equal(each[0], together[0])
    assert torch.equal(each[1], together[1])


def test_mirrored_along_both_axes_every_way_is_as_likely():
    images, masks = squares(batch=400)
    settings = replace(NOTHING, flip=True, flip_up_down=True)

    moved, marks = augment(images, masks, generator(), settings)

    ways = [masks[0], masks[0].flip(-1), masks[0].flip(-2), masks[0].flip(-1, -2)]
    counts = [sum(torch.equal(one, way) for one in marks) for way in ways]
    assert sum(counts) == 400
    assert all(70 <= count <= 130 for count in counts)
    assert torch.equal(moved > 0, marks.bool().expand_as(moved))

"""The loss by hand, against segmentation-models-pytorch, and in half precision."""

from math import log

import pytest
import torch

from roundelay.learning.loss import segmentation_loss
from torchvision_shim import segmentation_models

KINDS = ["bce+dice", "bce+tversky"]
LOG3 = log(3)
"""The sigmoid of log 3 is 3/4."""


def image(*values):
    return torch.tensor(values).reshape(-1, 1, 2, 2)


@pytest.mark.parametrize(
    ("kind", "wrong", "missed"), [("bce+dice", 0.5, 0.5), ("bce+tversky", 0.3, 0.7)]
)
def test_four_pixels_give_the_loss_computed_by_hand(kind, wrong, missed):
    logits, targets = image(LOG3, LOG3, -LOG3, -LOG3), image(1.0, 0.0, 1.0, 0.0)

    found = segmentation_loss(logits, targets, kind)

    # Found 3/4, 3/4, 1/4, 1/4: hit 3/4 + 1/4, marked wrongly 3/4 + 1/4, missed 1/4 + 3/4.
    overlap = (1 + 1) / (1 + wrong * 1 + missed * 1 + 1)
    entropy = (-2 * log(3 / 4) - 2 * log(1 / 4)) / 4
    assert float(found) == pytest.approx(entropy + 1 - overlap, rel=1e-6)


def test_tversky_blames_a_missed_pixel_more_than_a_wrong_one():
    targets = image(1.0, 1.0, 0.0, 0.0)
    missing, marking = image(9.0, -9.0, -9.0, -9.0), image(9.0, 9.0, 9.0, -9.0)

    found = [
        float(segmentation_loss(logits, targets, "bce+tversky")) for logits in (missing, marking)
    ]

    # The entropy of one wrong pixel is the same; the overlaps are 2 / 2.7 and 3 / 3.3.
    assert found[0] - found[1] == pytest.approx(3 / 3.3 - 2 / 2.7, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_overlap_is_over_the_batch_and_not_a_mean_over_its_slices(kind):
    logits, targets = image(9.0, 9.0, -9.0, -9.0), image(1.0, 1.0, 0.0, 0.0)
    none, empty = image(*[-9.0] * 4), image(*[0.0] * 4)

    alone = segmentation_loss(logits, targets, kind)
    both = segmentation_loss(torch.cat([logits, none]), torch.cat([targets, empty]), kind)

    assert float(both) == pytest.approx(float(alone), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch_has_a_gradient_that_lowers_every_logit(kind):
    logits = image(0.0, 1.0, -1.0, 2.0).requires_grad_()

    segmentation_loss(logits, torch.zeros(1, 1, 2, 2), kind).backward()

    assert (logits.grad > 0).all()


def test_the_loss_is_that_of_smp_where_there_is_tumour():
    losses = segmentation_models().losses
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 1, 32, 32, generator=generator)
    targets = (torch.rand(4, 1, 32, 32, generator=generator) < 0.1).float()
    entropy = losses.SoftBCEWithLogitsLoss()(logits, targets)
    dice = losses.DiceLoss("binary", smooth=1.0)(logits, targets)
    tversky = losses.TverskyLoss("binary", smooth=1.0, alpha=0.3, beta=0.7)(logits, targets)

    found = [float(segmentation_loss(logits, targets, kind)) for kind in KINDS]

    assert found == pytest.approx([float(entropy + dice), float(entropy + tversky)], rel=1e-5)


def test_dice_is_that_of_monai_with_its_smoothing_doubled():
    losses = pytest.importorskip("monai.losses")
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 1, 32, 32, generator=generator)
    targets = (torch.rand(4, 1, 32, 32, generator=generator) < 0.1).float()
    oracle = losses.DiceLoss(sigmoid=True, batch=True, smooth_nr=2.0, smooth_dr=2.0)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)

    found = segmentation_loss(logits, targets, "bce+dice")

    assert float(found - entropy) == pytest.approx(float(oracle(logits, targets)), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_computed_in_float32_even_under_autocast(kind):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 64, 64, generator=generator).bfloat16().requires_grad_()
    targets = (torch.rand(2, 1, 64, 64, generator=generator) < 0.1).float()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = segmentation_loss(logits, targets.bfloat16(), kind)
    found.backward()

    assert found.dtype == torch.float32
    assert torch.equal(found, segmentation_loss(logits.float(), targets, kind))
    assert torch.isfinite(logits.grad).all()


def test_extreme_logits_stay_finite():
    logits = image(1e4, -1e4, 1e4, -1e4).requires_grad_()

    found = segmentation_loss(logits, image(0.0, 1.0, 1.0, 0.0), "bce+tversky")
    found.backward()

    assert torch.isfinite(found)
    assert torch.isfinite(logits.grad).all()


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="must be the same"):
        segmentation_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4), "bce+dice")


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'focal' is none of"):
        segmentation_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), "focal")


@pytest.mark.parametrize("kind", KINDS)
def test_of_several_regions_the_overlap_is_the_mean_of_each_alone(kind):
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 2, 4, 4), (torch.rand(3, 2, 4, 4) > 0.7).float()

    found = segmentation_loss(logits, targets, kind)

    alone = [segmentation_loss(logits[:, n : n + 1], targets[:, n : n + 1], kind) for n in (0, 1)]
    assert float(found) == pytest.approx(float(sum(alone)) / 2, rel=1e-6)

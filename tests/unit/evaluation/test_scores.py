"""One patient's scores, counted by hand."""

import json
from dataclasses import FrozenInstanceError, replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from roundelay.evaluation.dice import dice
from roundelay.evaluation.distance import hd95
from roundelay.evaluation.scores import PatientScore, score_patient

SHAPE = (4, 6, 6)
masks = arrays(np.bool_, (4, 2, 3))


def two_masks():
    """Four slices: half found; a false alarm; rightly empty; missed."""
    prediction, reference = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    reference[0, 0, :4] = True
    prediction[0, 0, 2:4] = True
    prediction[1, 5, 5] = True
    reference[3, 2, 2] = True
    return prediction, reference


def score(prediction, reference, spacing=None):
    return score_patient("p1", "north", "test", prediction, reference, spacing)


def test_every_number_of_a_small_patient_is_the_one_counted_by_hand():
    found = score(*two_masks())

    assert found == PatientScore(
        patient="p1",
        site="north",
        split="test",
        dice=2 * 2 / (3 + 5),
        hd95=found.hd95,
        hd95_missing=False,
        slices=4,
        reference_slices=2,
        reference_volume=5.0,
        predicted_volume=3.0,
        tp=2,
        fp=1,
        fn=3,
        slice_dice=(2 / 3 + 0 + 1 + 0) / 4,
        slice_dice_of_empty_prediction=0.5,
        positive_slice_dice=(2 / 3 + 0) / 2,
        unit="pixels",
    )
    # from the prediction 0, 0 and the root of 22: the 95th percentile lies at 0.9 of the last step
    assert found.hd95 == pytest.approx(0.9 * sqrt(22))


def test_with_spacing_the_unit_is_mm_and_volumes_are_cubic_mm():
    found = score(*two_masks(), spacing=(5.0, 0.5, 2.0))

    assert found.unit == "mm"
    assert found.reference_volume == pytest.approx(25)
    assert found.predicted_volume == pytest.approx(15)
    assert found.hd95 == pytest.approx(hd95(*two_masks(), (5.0, 0.5, 2.0)))
    assert found.hd95 != pytest.approx(hd95(*two_masks()))


def test_a_missed_patient_counts_as_the_diagonal_and_is_marked_so():
    _, reference = two_masks()

    found = score(np.zeros(SHAPE, bool), reference, (5, 1, 1))

    assert found.dice == 0
    assert found.hd95_missing is True
    assert found.hd95 == pytest.approx(sqrt(20**2 + 6**2 + 6**2))
    assert found.positive_slice_dice == 0


def test_a_false_alarm_in_a_healthy_patient_counts_as_the_diagonal_and_is_marked_so():
    prediction, _ = two_masks()

    found = score(prediction, np.zeros(SHAPE, bool))

    assert found.dice == 0
    assert found.hd95_missing is True
    assert found.hd95 == pytest.approx(sqrt(4**2 + 6**2 + 6**2))


def test_a_healthy_patient_in_whom_nothing_is_marked_is_perfect_and_has_no_tumour_slices():
    found = score(np.zeros(SHAPE, bool), np.zeros(SHAPE, bool))

    assert (found.dice, found.hd95, found.hd95_missing) == (1, 0, False)
    assert (found.slice_dice, found.slice_dice_of_empty_prediction) == (1, 1)
    assert found.positive_slice_dice is None
    assert found.reference_slices == 0


def test_marking_nothing_has_the_slice_dice_that_is_given_for_nothing():
    _, reference = two_masks()

    found = score(np.zeros(SHAPE, bool), reference)

    assert found.slice_dice == found.slice_dice_of_empty_prediction == 0.5


def test_a_flat_or_empty_volume_is_refused():
    for shape in [(6, 6), (0, 6, 6)]:
        with pytest.raises(ValueError, match=r"masks must be \[slices, height, width\]"):
            score(np.zeros(shape, bool), np.zeros(shape, bool))


def test_masks_that_are_not_boolean_or_not_of_one_shape_are_refused():
    with pytest.raises(ValueError, match="must be boolean"):
        score(np.zeros(SHAPE), np.zeros(SHAPE, bool))
    with pytest.raises(ValueError, match="differ in shape"):
        score(np.zeros(SHAPE, bool), np.zeros((1, 6, 6), bool))


@pytest.mark.parametrize("spacing", [None, (5.0, 1.0, 1.0)])
def test_a_score_goes_through_json_and_comes_back_the_same(spacing):
    found = score(*two_masks(), spacing=spacing)

    text = json.dumps(found.as_json(), allow_nan=False)

    assert PatientScore(**json.loads(text)) == found


def test_a_score_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        score(*two_masks()).dice = 1.0


@pytest.mark.parametrize("field", ["dice", "slice_dice", "positive_slice_dice"])
@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1])
def test_a_dice_out_of_range_makes_no_score_and_the_patient_is_not_named(field, value):
    good = score(*two_masks())

    with pytest.raises(ValueError, match="a patient at site 'north'") as caught:
        replace(good, **{field: value})

    assert "p1" not in str(caught.value)


@pytest.mark.parametrize("field", ["hd95", "reference_volume", "predicted_volume"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_distance_or_volume_that_is_no_finite_number_makes_no_score(field, value):
    good = score(*two_masks())

    with pytest.raises(ValueError, match="not a finite number"):
        replace(good, **{field: value})


@settings(deadline=None)
@given(masks, masks)
def test_slice_figures_are_means_of_the_dice_of_single_slices(prediction, reference):
    found = score(prediction, reference)
    by_slice = [dice(*pair) for pair in zip(prediction, reference, strict=True)]
    tumour = [value for value, true in zip(by_slice, reference, strict=True) if true.any()]

    assert found.slice_dice == pytest.approx(np.mean(by_slice))
    assert found.reference_slices == len(tumour)
    if tumour:
        assert found.positive_slice_dice == pytest.approx(np.mean(tumour))
    else:
        assert found.positive_slice_dice is None
    assert found.overlap.dice == found.dice
    assert found.hd95_missing is bool(prediction.any() != reference.any())

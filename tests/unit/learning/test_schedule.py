"""Learning rates by hand and against PyTorch's schedulers, at every step."""

import warnings

import pytest
import torch

from roundelay.learning.schedule import learning_rate

PEAK = 5e-4


def rates(schedule, total):
    return [learning_rate(schedule, step, total, PEAK) for step in range(total)]


def torch_rates(make, total):
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=PEAK)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a scheduler without an optimiser's steps is meant here
        scheduler = make(optimiser)
        for step in range(total):
            found.append(optimiser.param_groups[0]["lr"])
            if step < total - 1:
                scheduler.step()
    return found


@pytest.mark.parametrize("total", [1, 2, 3, 4, 7, 10, 97, 800])
def test_one_cycle_is_that_of_torch_at_every_step(total):
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=PEAK, total_steps=total), total
    )

    assert rates("one_cycle", total) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("total", [1, 2, 3, 97, 800])
def test_cosine_is_that_of_torch_at_every_step(total):
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=total), total
    )

    assert rates("cosine", total) == pytest.approx(expected, rel=1e-9)


def test_ten_steps_of_one_cycle_are_those_computed_by_hand():
    found = rates("one_cycle", 10)

    # Up from a 25th over steps 0 to 2, half way at step 1; down to a 250,000th at step 9.
    assert found[:3] == pytest.approx([PEAK / 25, PEAK * 26 / 50, PEAK])
    assert found[9] == pytest.approx(PEAK / 250_000)
    assert found[2:] == sorted(found[2:], reverse=True)


def test_cosine_is_half_the_peak_half_way():
    assert rates("cosine", 8)[0] == PEAK
    assert rates("cosine", 8)[4] == pytest.approx(PEAK / 2)


def test_constant_is_the_peak():
    assert rates("constant", 3) == [PEAK] * 3


@pytest.mark.parametrize("schedule", ["constant", "one_cycle", "cosine"])
@pytest.mark.parametrize("step", [-1, 10, 11])
def test_a_step_outside_of_the_way_is_refused(schedule, step):
    with pytest.raises(ValueError, match=f"step {step} is not one of 10"):
        learning_rate(schedule, step, 10, PEAK)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="'linear' is none of constant, one_cycle, cosine"):
        learning_rate("linear", 0, 10, PEAK)

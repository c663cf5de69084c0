"""The optimiser's memory through hand-overs, against PyTorch's plain Adam that is never moved."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from roundelay.errors import ModelError
from roundelay.learning.optimiser import Adam, load_optimiser, optimiser_arrays
from roundelay.study.sections import Recipe

CONTIGUOUS, LAST = torch.contiguous_format, torch.channels_last


def network(memory_format=CONTIGUOUS):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=4), nn.Conv2d(8, 2, 1)
    )
    return model.to(memory_format=memory_format)


def set_gradients(model, step):
    generator = torch.Generator().manual_seed(step)
    for weight in model.parameters():
        gradient = torch.randn(weight.shape, generator=generator)
        weight.grad = torch.empty_like(weight).copy_(gradient)


def values(model):
    return {name: weight.detach().contiguous() for name, weight in model.named_parameters()}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(torch.as_tensor(found[name]), value, rtol=1e-5, atol=1e-6), name


def moments(model, optimiser):
    return {
        f"{slot}/{name}": value
        for name, weight in model.named_parameters()
        for slot, value in optimiser.state[weight].items()
    }


@pytest.mark.parametrize("kind", ["adam", "adamw"])
@pytest.mark.parametrize("lasts", list(itertools.product([False, True], repeat=3)), ids=str)
def test_hand_overs_between_machines_change_nothing_of_what_adam_computes(kind, lasts):
    recipe = Recipe(optimiser=kind, learning_rate=0.05, weight_decay=0.1)
    plain = network()
    oracle_kind = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    oracle = oracle_kind(plain.parameters(), lr=0.05, weight_decay=0.1, fused=False, foreach=False)
    weights, arrays = plain.state_dict(), {}
    for visit, last in enumerate(lasts):
        model = network(LAST if last else CONTIGUOUS)
        model.load_state_dict(weights)
        optimiser = Adam(recipe, model)
        load_optimiser(optimiser, arrays)
        for step in range(3):
            for each, by in ((model, optimiser), (plain, oracle)):
                set_gradients(each, 3 * visit + step)
                by.step()
        weights, arrays = model.state_dict(), optimiser_arrays(optimiser)
        assert_close(values(model), values(plain))
        assert_close(arrays, moments(plain, oracle))


def test_a_gradient_that_lies_otherwise_than_its_weight_is_read_right():
    recipe = Recipe(optimiser="adamw", learning_rate=0.05, weight_decay=0.0)
    first, second = network(LAST), network(LAST)
    for model, memory_format in ((first, LAST), (second, CONTIGUOUS)):
        set_gradients(model, 0)
        weight = model[0].weight
        weight.grad = weight.grad.contiguous(memory_format=memory_format)
        Adam(recipe, model).step()

    assert_close(values(first), values(second))


def test_a_weight_that_lies_in_no_usual_order_is_trained_too():
    model = nn.Linear(3, 5)
    model.weight = nn.Parameter(torch.ones(3, 5).t())
    set_gradients(model, 0)
    Adam(Recipe(learning_rate=0.5), model).step()

    assert torch.allclose(model.weight, 1 - 0.5 * model.weight.grad.sign(), atol=1e-5)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_a_step_is_that_of_pytorchs_own_class_to_the_bit(kind):
    plain, model = network(), network()
    oracle_kind = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    oracle = oracle_kind(plain.parameters(), lr=0.05, weight_decay=0.1, fused=True)
    optimiser = Adam(Recipe(optimiser=kind, learning_rate=0.05, weight_decay=0.1), model)
    for step in range(5):
        for each, by in ((model, optimiser), (plain, oracle)):
            set_gradients(each, step)
            by.step()

    assert all(map(torch.equal, model.parameters(), plain.parameters()))


def test_moments_of_another_network_are_refused():
    model = network()
    optimiser = Adam(Recipe(), model)
    set_gradients(model, 0)
    optimiser.step()
    arrays = optimiser_arrays(optimiser) | {"exp_avg/0.weight": np.zeros((8, 3, 5, 5))}

    with pytest.raises(ModelError, match=r"does not fit the network at 0\.weight"):
        load_optimiser(optimiser, arrays)


WITHOUT = """
import sys, torch
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import Adam
from roundelay.learning.state import load_model, model_arrays
from roundelay.study.network_shape import NetworkShape
from roundelay.study.sections import Recipe

shape = NetworkShape("resnet18_quarter")
model = load_model(shape, model_arrays(build_network(*shape, seed=0)))
optimiser = Adam(Recipe(), model)
model(torch.zeros(2, 3, 32, 32)).sum().backward()
optimiser.step()
sys.exit("torch._dynamo" in sys.modules)
"""


def test_a_visit_does_without_pytorchs_compiler():
    """To load it takes as long as torch itself, in each process that trains."""
    assert subprocess.run([sys.executable, "-c", WITHOUT]).returncode == 0

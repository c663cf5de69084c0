"""What honest sites hand over fits the network, by the rule that each party looks with."""

import numpy as np
import pytest
import torch

from roundelay.learning.batchnorm import statistics_sums
from roundelay.learning.machine import find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import SLOTS, make_optimiser, optimiser_arrays
from roundelay.learning.state import model_arrays
from roundelay.relay import fitting
from roundelay.relay.baton import Baton, join
from roundelay.relay.fitting import misfit, misfit_of_sums
from surveys import study


@pytest.fixture(scope="module")
def trained():
    """A network after a step, the optimiser's memory, and the names of its weights."""
    network = build_network("resnet18_quarter", seed=0)
    optimiser = make_optimiser(study().recipe, network)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimiser.step()
    names = [name for name, _ in network.named_parameters()]
    return network, optimiser_arrays(network, optimiser), names


def test_a_model_with_its_memory_and_average_fits(trained):
    network, memory, names = trained
    model = model_arrays(network)
    assert fitting.SLOTS == SLOTS
    for parts in ({}, {"optimiser": memory}, {"average": model},
                  {"optimiser": memory, "average": model}):  # fmt: skip
        for known in (names, None):
            assert misfit(join(model=model, **parts), model, known) is None


def test_a_memory_of_other_weights_or_not_of_all_does_not_fit(trained):
    network, memory, names = trained
    model = model_arrays(network)
    first = names[0]
    some = {name: array for name, array in memory.items() if not name.endswith(f"/{first}")}
    assert "memory" in (misfit(join(model=model, optimiser=some), model, names) or "")
    flat = {**memory, f"exp_avg/{first}": memory[f"exp_avg/{first}"].reshape(-1)}
    assert "another shape" in (misfit(join(model=model, optimiser=flat), model) or "")
    other = {**memory, "exp_avg/x": np.zeros(1, np.float32)}
    assert "memory" in (misfit(join(model=model, optimiser=other), model) or "")


def test_the_sums_of_a_recalibration_fit(trained):
    network, _, _ = trained
    batch = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    machine = find_machine("float32", deterministic=False)
    sums = statistics_sums(network, [batch], machine)
    model = model_arrays(network)
    assert misfit_of_sums(join(sums=sums), model) is None
    assert misfit_of_sums(Baton(b"no baton"), model) == "these bytes are no baton"
    counted = next(name for name in sums if name.endswith(".count"))
    none = {**sums, counted: np.zeros_like(sums[counted])}
    assert "counts nothing" in str(misfit_of_sums(join(sums=none), model))

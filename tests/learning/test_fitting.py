"""What honest sites hand over fits the network, by the rule that each party looks with."""

import numpy as np
import pytest
import torch

from roundelay.errors import RefusedError
from roundelay.learning.batchnorm import statistics_sums
from roundelay.learning.machine import find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import SLOTS, Adam, optimiser_arrays
from roundelay.learning.state import model_arrays
from roundelay.network.hospital.acceptance import check_incoming
from roundelay.network.hospital.policy import Acceptance
from roundelay.relay import fitting
from roundelay.relay.baton import Baton, join
from roundelay.relay.fitting import misfit, misfit_of_sums
from surveys import study


@pytest.fixture(scope="module")
def trained():
    """A network after a step, the optimiser's memory, and the names of its weights."""
    network = build_network("resnet18_quarter", seed=0)
    optimiser = Adam(study().recipe, network)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimiser.step()
    names = [name for name, _ in network.named_parameters()]
    return network, optimiser_arrays(optimiser), names


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


def test_what_can_only_be_positive_does_not_fit_where_it_is_negative(trained):
    network, memory, names = trained
    model = model_arrays(network)
    for name in (f"exp_avg_sq/{names[0]}", f"step/{names[0]}"):
        below = {**memory, name: memory[name] - 9}
        assert f"{name} holds negative" in str(misfit(join(model=model, optimiser=below), model))
    variance = next(name for name in model if name.endswith(".running_var"))
    below = {**model, variance: -model[variance]}
    assert f"{variance} holds negative" in str(misfit(join(model=below), model))
    assert f"{variance} holds negative" in str(misfit(join(model=model, average=below), model))


TAKEN = {
    "the average": ({"average": "ema"}, {"average": 1e4}, "its weights changed"),
    "an average unasked": ({}, {"average": 1.0}, "an average of the weights came with it"),
    "a memory unasked": ({}, {"optimiser": 1.0}, "an optimiser's memory came with it"),
}


@pytest.mark.parametrize(("recipe", "parts", "why"), TAKEN.values(), ids=TAKEN)
def test_what_travels_beside_the_weights_is_looked_at_too(trained, tmp_path, recipe, parts, why):
    """The average is what is scored and goes home; the memory steers the next step."""
    network, memory, _ = trained
    model = model_arrays(network)
    whole = {"average": model, "optimiser": memory}
    beside = {
        part: {n: (a * factor).astype(a.dtype) for n, a in whole[part].items()}
        for part, factor in parts.items()
    }
    plan = study(recipe=recipe, model={"encoder": "resnet18_quarter"})

    def come(baton):
        before, allowed = join(model=model), Acceptance(change=0.001)
        check_incoming(baton, before, plan, allowed, lambda _: 1.0, tmp_path / "quarantine")

    come(join(model=model))
    with pytest.raises(RefusedError, match=why):
        come(join(model=model, **beside))

"""Weights that aren't finite stay where they arose; what is loaded is what the digest is of."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from roundelay.errors import HandoverError, ModelError, VisitError
from roundelay.files.toml_file import parse_toml
from roundelay.learning import deep_supervision
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.loss import segmentation_loss
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import Adam
from roundelay.learning.state import load_model
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import Stop
from roundelay.relay.aggregation import recalibrated
from roundelay.relay.baton import AVERAGE, MODEL, OPTIMISER, join, part_of
from roundelay.relay.loop import check_handover
from roundelay.running.starting import start_baton
from roundelay.site import recalibration
from roundelay.site.soundness import arrived, not_finite
from roundelay.study.file import to_toml
from roundelay.study.network_shape import NetworkShape
from roundelay.study.sections import Recipe
from roundelay.study.study import Study
from visits import FLOAT32, open_here, toy

STOP = Stop("cwt", 0, 0, 1, "NORTH", "train", (("NORTH", 2),), 2, 1, 0, 1)

ONE_STEP = {"steps": 1, "work": "equal"}
"""A second step would show in its loss what the first one did."""


def steep(logits, masks, kind):
    """A loss whose value is finite, and whose gradient is none."""
    return segmentation_loss(logits, masks, kind) + (logits * 0).abs().sum().sqrt()


@pytest.mark.parametrize("state", ["reset", "travel", "stay"])
def test_a_finite_loss_with_an_infinite_gradient_is_refused_where_it_arose(
    root,
    tmp_path,
    threads,
    monkeypatch,
    state,
):
    plan = toy(root, optimiser_state=state, **ONE_STEP)
    courier = open_here(plan, tmp_path / "sites")
    stop = lay(plan, courier.survey())[0].legs[1].stops[0]
    monkeypatch.setattr(deep_supervision, "segmentation_loss", steep)

    with pytest.raises(VisitError) as caught:
        courier.train(start_baton(plan, 0), [stop])

    said = str(caught.value)
    assert "NORTH (stop 2, round 1) gave values that aren't finite (model/" in said
    assert "gradient_clip = 1.0" in said and "the last baton is kept" in said
    assert caught.value.exit_code == 3
    assert not (tmp_path / "sites").exists()  # nothing stays of a visit that was refused


def test_an_optimisers_memory_that_overflows_is_found_though_the_weights_are_finite(
    root,
    tmp_path,
    threads,
    monkeypatch,
):
    """Adam's mean of squares is infinite from a gradient of 1e20 on; its step is then 0."""
    plan = toy(root, optimiser_state="travel", **ONE_STEP)
    courier = open_here(plan, tmp_path)
    stop = lay(plan, courier.survey())[0].legs[0].stops[0]

    def large(logits, masks, kind):
        return segmentation_loss(logits, masks, kind) + 1e25 * (logits - logits.detach()).sum()

    monkeypatch.setattr(deep_supervision, "segmentation_loss", large)
    with pytest.raises(VisitError, match=r"\(optimiser/exp_avg_sq/"):
        courier.train(start_baton(plan, 0), [stop])


def test_sums_of_a_recalibration_that_overflow_are_refused_where_they_arose(
    root,
    tmp_path,
    threads,
    monkeypatch,
):
    plan = toy(root, recalibrate_batchnorm=True, recalibration_slices=8)
    courier = open_here(plan, tmp_path)
    stop = lay(plan, courier.survey())[0].legs[-1].stops[0]
    monkeypatch.setattr(
        recalibration, "statistics_sums", lambda *_: {"bn.sum": np.array([1.0, math.inf])}
    )

    with pytest.raises(VisitError, match=r"\(sums/bn\.sum\)"):
        courier.train(start_baton(plan, 0), [stop])


def test_statistics_too_large_for_the_network_are_not_handed_on():
    sums = {"bn.count": np.array([2.0]), "bn.sum": np.array([0.0]), "bn.sum_of_squares": [1e80]}

    with pytest.raises(VisitError, match=r"gave bn\.running_var values that aren't finite"):
        recalibrated(join(model={}), [{name: np.array(one) for name, one in sums.items()}])


def one_step(recipe, scale=1.0):
    """A step on a batch of noise; the weights before and after, and the gradients as they came."""
    model = build_network("resnet18_quarter", seed=0)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    seen = {}

    def look():
        seen.update({name: weight.grad.clone() for name, weight in model.named_parameters()})

    generator = torch.Generator().manual_seed(1)
    images = scale * torch.randn(2, 3, 32, 32, generator=generator)
    masks = (torch.rand(2, 1, 32, 32, generator=generator) > 0.8).float()
    fit(
        model, Adam(recipe, model), [(images, masks)],
        stop=STOP, recipe=recipe, machine=FLOAT32, hooks=Hooks(look),
    )  # fmt: skip
    return (
        before,
        seen,
        {name: weight.detach().clone() for name, weight in model.named_parameters()},
    )


def test_a_clipped_step_is_the_one_that_one_computes_by_hand(threads):
    recipe = Recipe(gradient_clip=0.25, learning_rate=1e-3)

    before, gradients, after = one_step(recipe)

    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients.values()))
    assert norm > 0.25
    weights = [nn.Parameter(weight.clone()) for weight in before.values()]
    for weight, gradient in zip(weights, gradients.values(), strict=True):
        weight.grad = gradient * (0.25 / norm)
    torch.optim.Adam(weights, lr=1e-3).step()
    for weight, (name, found) in zip(weights, after.items(), strict=True):
        # A first step of Adam depends on the gradient's size only where that is near epsilon.
        assert torch.allclose(found, weight.detach(), rtol=1e-4, atol=1e-6), name


def test_a_limit_above_the_norm_changes_no_bit_and_one_below_does(threads):
    _, _, plain = one_step(Recipe())
    _, _, wide = one_step(Recipe(gradient_clip=1e6))
    _, _, narrow = one_step(Recipe(gradient_clip=1e-7))

    assert all(torch.equal(plain[name], wide[name]) for name in plain)
    assert not all(torch.equal(plain[name], narrow[name]) for name in plain)


def test_a_gradient_that_no_limit_can_clip_is_said_with_its_step(threads, monkeypatch):
    monkeypatch.setattr(deep_supervision, "segmentation_loss", steep)

    with pytest.raises(VisitError, match=r"The gradient at NORTH .* became nan in step 1 of 1"):
        one_step(Recipe(gradient_clip=0.5))


def test_a_study_without_the_key_has_the_digest_that_it_always_had():
    values = {"name": "toy", "data": {"root": "somewhere"}}
    plain = Study.model_validate(values)
    named = Study.model_validate({**values, "recipe": {"gradient_clip": 1.0}})

    assert plain.digest == "a52104ea7dd78eb82e3d297b7886a6f0af9078dea2ed13a0d2f97ea917621293"
    assert named.digest != plain.digest
    again = parse_toml(to_toml(named), "study", ModelError)
    assert again["recipe"]["gradient_clip"] == 1.0
    assert "gradient_clip" not in parse_toml(to_toml(plain), "study", ModelError)["recipe"]


@pytest.mark.parametrize("limit", [0, -1.0, math.inf, math.nan, "1"])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(ValueError, match="gradient_clip"):
        Recipe.model_validate({"gradient_clip": limit})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", [MODEL, AVERAGE, OPTIMISER])
def test_what_comes_in_is_finite_or_refused_with_its_name(part, value):
    parts = {MODEL: {"w": np.ones(3, np.float32)}, AVERAGE: {"w": np.ones(3, np.float32)}}
    parts[OPTIMISER] = {"exp_avg/w": np.ones(3, np.float32), "step/w": np.float32(1)}
    assert arrived(packed(parts), "NORTH")
    name = "exp_avg/w" if part == OPTIMISER else "w"
    parts[part] = {**parts[part], name: np.array([1, value, 1], np.float32)}

    with pytest.raises(VisitError, match=f"NORTH was sent weights .*: {part}{name} holds"):
        arrived(packed(parts), "NORTH")


@pytest.mark.parametrize(
    ("part", "name", "array"),
    [
        (AVERAGE, "w", np.ones(4, np.float32)),
        (AVERAGE, "w", np.ones(3, np.float64)),
        (AVERAGE, "other", np.ones(3, np.float32)),
        (OPTIMISER, "exp_avg/w", np.ones((3, 1), np.float32)),
        (OPTIMISER, "exp_avg/other", np.ones(3, np.float32)),
    ],
)
def test_what_travels_beside_the_model_has_its_shapes_or_is_refused(part, name, array):
    parts = {MODEL: {"w": np.ones(3, np.float32)}, part: {name: array}}

    with pytest.raises(VisitError, match=f"{part}{name} is not of its weight's shape"):
        arrived(packed(parts), "NORTH")


def packed(parts):
    return join(**{part.removesuffix("/"): arrays for part, arrays in parts.items()})


def test_a_model_of_another_precision_is_refused():
    arrays = {
        n: t.numpy() for n, t in build_network("resnet18_quarter", seed=0).state_dict().items()
    }
    arrays["encoder.conv1.weight"] = arrays["encoder.conv1.weight"].astype(np.float64)

    with pytest.raises(ModelError, match=r"encoder\.conv1\.weight is torch\.float64"):
        load_model(NetworkShape("resnet18_quarter"), arrays)


def test_integers_and_empty_arrays_are_finite():
    assert not_finite({"a": np.array([2**62]), "b": np.zeros(0, np.float32)}) is None


@pytest.mark.parametrize("recipe", [{}, {"average": "ema", "optimiser_state": "travel"}], ids=str)
@pytest.mark.parametrize("forgets", [False, True])
def test_a_recalibration_says_what_it_loaded(
    root,
    tmp_path,
    threads,
    monkeypatch,
    recipe,
    forgets,
):
    """The digest is the baton's where loading is right, and another one where it isn't."""
    plan = toy(root, recalibrate_batchnorm=True, recalibration_slices=8, **recipe)
    courier = open_here(plan, tmp_path)
    arm = lay(plan, courier.survey())[0]
    sent = courier.train(start_baton(plan, 0), arm.legs[0].stops)[0].baton
    stop = arm.legs[-1].stops[0]
    assert bool(part_of(sent.arrays(), AVERAGE)) == bool(recipe)
    if forgets:
        first = start_baton(plan, 0).part(MODEL)
        monkeypatch.setattr(recalibration, "load_model", lambda e, _: load_model(e, first))

    (visit,) = courier.train(sent, [stop])

    if forgets:
        with pytest.raises(HandoverError, match="did not start from the weights"):
            check_handover(stop, visit, sent=sent)
    else:
        check_handover(stop, visit, sent=sent)

"""Importance: by hand, by a second program of plain loops, and in visits that begin and go on."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from roundelay.errors import LedgerError, ModelError, RefusedError, VisitError
from roundelay.learning.fisher import fisher
from roundelay.learning.loss import segmentation_loss
from roundelay.learning.path_integral import DAMPING, PathIntegral
from roundelay.learning.remembering import STRENGTH, Remembering
from roundelay.network.hospital.acceptance import check_incoming
from roundelay.network.hospital.policy import Acceptance
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import Stop
from roundelay.plan.itinerary import digest as itinerary_digest
from roundelay.relay.baton import IMPORTANCE, MODEL, Baton, join
from roundelay.relay.fitting import misfit
from roundelay.relay.ledger import Header, Ledger
from roundelay.relay.loop import relay
from roundelay.running.starting import start_baton
from roundelay.study.sections import CourierSettings
from surveys import study
from visits import FLOAT32, open_here, toy

STOP = Stop("swt", 0, 0, 1, "NORTH", "train", (("NORTH", 4),), 4, 3, 0, 9)


class Quadratic(nn.Module):
    """``sum(sharpness * (w - target)^2) / 2`` over two weights, in float64."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def loss(self, sharpness, target):
        gap = self.w - torch.tensor(target, dtype=torch.float64)
        return (torch.tensor(sharpness, dtype=torch.float64) * gap.square()).sum() / 2


def descend(model, remembering, steps, rate, sharpness, target):
    for _ in range(steps):
        model.zero_grad()
        model.loss(sharpness, target).backward()
        remembering.after_backward()
        with torch.no_grad():
            model.w -= rate * model.w.grad
        remembering.after_step()
    remembering.after_visit(lambda: (), FLOAT32)
    return remembering.arrays()


def test_the_path_integral_is_the_one_that_is_computed_by_hand():
    """One weight from 0 towards 1: gradients -1 and -0.5, moves 0.5 and 0.25."""
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    sent, path = {"w": torch.zeros(1, dtype=torch.float64)}, PathIntegral({"w": weight})

    for _ in range(2):
        weight.grad = weight.detach() - 1
        path.before_step()
        with torch.no_grad():
            weight -= 0.5 * weight.grad
        path.after_step()

    lowered = 1 * 0.5 + 0.5 * 0.25
    assert path.importance(sent)["w"].item() == pytest.approx(lowered / (0.75**2 + DAMPING), 1e-12)


def test_a_weight_whose_moves_raised_the_loss_counts_nothing():
    weight = nn.Parameter(torch.zeros(1))
    path = PathIntegral({"w": weight})
    weight.grad = torch.ones(1)
    path.before_step()
    with torch.no_grad():
        weight += 1
    path.after_step()

    assert path.importance({"w": torch.zeros(1)})["w"].item() == 0


def by_loops(visits, rate, strength):
    """Synaptic intelligence of two weights in plain Python: weights and importance by visit."""
    w, omega, found = [0.0, 0.0], [0.0, 0.0], []
    for sharpness, target, steps in visits:
        sent, lowered = list(w), [0.0, 0.0]
        for _ in range(steps):
            for k in range(2):
                gradient = sharpness[k] * (w[k] - target[k])
                move = -rate * (gradient + 2 * strength * omega[k] * (w[k] - sent[k]))
                lowered[k] -= gradient * move
                w[k] += move
        for k in range(2):
            omega[k] += max(lowered[k], 0.0) / ((w[k] - sent[k]) ** 2 + DAMPING)
        found.append((list(w), list(omega)))
    return found


def test_synaptic_intelligence_is_what_plain_loops_compute():
    visits = [
        ((1.0, 0.1), (1.0, -1.0), 4),
        ((0.2, 2.0), (-1.0, 1.0), 5),
        ((1.0, 1.0), (0.0, 3.0), 3),
    ]
    recipe = study(recipe={"remember": "si", "remember_strength": 0.7}).recipe
    model, arrived = Quadratic(), {}

    for (sharpness, target, steps), (w, omega) in zip(
        visits, by_loops(visits, 0.2, 0.7), strict=True
    ):
        remembering = Remembering(recipe, STOP, model, arrived, hands_on=True)
        arrived = descend(model, remembering, steps, 0.2, sharpness, target)
        np.testing.assert_allclose(model.w.detach(), w, rtol=1e-12)
        np.testing.assert_allclose(arrived["w"], omega, rtol=1e-12)


@pytest.mark.parametrize(("kind", "factor"), [("si", 1.0), ("ewc", 0.5)])
def test_the_pull_is_the_gradient_that_autograd_finds(kind, factor):
    recipe = study(recipe={"remember": kind}).recipe
    model, importance = Quadratic(), torch.tensor([3.0, 0.5], dtype=torch.float64)
    sent = model.w.detach().clone()
    pulling = Remembering(recipe, STOP, model, {"w": importance.numpy()}, hands_on=False)
    with torch.no_grad():
        model.w += torch.tensor([0.3, -0.2])

    model.loss((1.0, 1.0), (1.0, 1.0)).backward()
    pulling.after_backward()
    found = model.w.grad.clone()
    model.zero_grad()
    far = STRENGTH[kind] * factor * (importance * (model.w - sent).square()).sum()
    (model.loss((1.0, 1.0), (1.0, 1.0)) + far).backward()

    torch.testing.assert_close(found, model.w.grad)


SLICES = [(2.0, 1.0), (1.0, 0.0)]
"""Images of one pixel, with their references."""


def as_batches(values):
    return [(torch.full((1, 1, 1, 1), x), torch.full((1, 1, 1, 1), y)) for x, y in values]


def test_the_fisher_information_is_the_one_that_is_computed_by_hand():
    """A convolution of one pixel with weights of 0: half the pixel is tumour. By the logit, the
    gradient of cross-entropy is p - y; of Dice, 1 - (hit + 1) / (hit + wrong / 2 + missed / 2 + 1),
    it is -1 / 1.75^2 times p (1 - p) with tumour and 0.5 / 1.25^2 times p (1 - p) without."""
    model = nn.Conv2d(1, 1, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)

    found = fisher(model, dict(model.named_parameters()), as_batches(SLICES), "bce+dice", FLOAT32)

    with_tumour, without = -0.5 - 0.25 / 1.75**2, 0.5 + 0.25 * 0.5 / 1.25**2
    assert found["bias"].item() == pytest.approx((with_tumour**2 + without**2) / 2, rel=1e-6)
    weight = ((2 * with_tumour) ** 2 + without**2) / 2
    assert found["weight"].item() == pytest.approx(weight, rel=1e-6)


def test_the_fisher_information_is_what_differences_of_the_loss_give():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    model = model.double().eval()
    model[1].running_var.fill_(0.3)
    slices = [(torch.rand(1, 1, 4, 4).double(), torch.rand(1, 1, 4, 4).round().double())
              for _ in range(3)]  # fmt: skip
    statistics = {name: one.clone() for name, one in model.state_dict().items()}

    found = fisher(model, dict(model.named_parameters()), slices, "bce+tversky", FLOAT32)

    for name, weight in model.named_parameters():
        for k in range(weight.numel()):
            squares = []
            for images, masks in slices:
                losses = []
                for shift in (1e-3, -1e-3):
                    with torch.no_grad():
                        weight.view(-1)[k] += shift
                        losses.append(segmentation_loss(model(images), masks, "bce+tversky"))
                        weight.view(-1)[k] -= shift
                squares.append(((losses[0] - losses[1]) / 2e-3) ** 2)
            assert found[name].view(-1)[k] == pytest.approx(np.mean(squares), rel=2e-2, abs=1e-6)
    for name, one in model.state_dict().items():
        assert torch.allclose(one, statistics[name], atol=1e-12)


def test_importance_of_another_network_does_not_load():
    recipe = study(recipe={"remember": "si"}).recipe
    for arrays in ({"x": np.zeros(2)}, {"w": np.zeros(3)}):
        with pytest.raises(ModelError, match="importance that came"):
            Remembering(recipe, STOP, Quadratic(), arrays, hands_on=True)


def opened(plan, place):
    courier = open_here(plan, place / "sites")
    arm = lay(plan, courier.survey())[0]
    start = start_baton(plan, 0)
    header = Header(arm.label, plan.digest, itinerary_digest(arm.legs), "cohort", start.digest)
    return courier, arm, start, Ledger(place, header, keep=None)


def go_round(plan, place, stop_after=None):
    courier, arm, start, ledger = opened(plan, place)

    def after_leg(number, *_):
        if number == stop_after:
            raise KeyboardInterrupt

    relay(start, arm, courier, ledger, after_leg)
    return [ledger.baton_of(number) for number in range(ledger.legs_done)]


@pytest.fixture(scope="module")
def plain(root, module_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    batons = go_round(toy(root), module_path / "plain")
    torch.set_num_threads(threads)
    return batons


@pytest.mark.parametrize("kind", ["si", "ewc"])
def test_importance_travels_to_the_last_visit_and_a_run_that_was_stopped_gives_the_same(
    root, tmp_path, threads, plain, kind
):
    plan = toy(root, remember=kind)

    whole = go_round(plan, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        go_round(plan, tmp_path / "b", stop_after=1)
    resumed = go_round(plan, tmp_path / "b")

    assert [b.digest for b in resumed] == [b.digest for b in whole]
    *before, last = whole
    assert last.arrays().keys() == plain[-1].arrays().keys()
    assert last.digest != plain[-1].digest
    sums = []
    for baton in before:
        model, importance = baton.part(MODEL), baton.part(IMPORTANCE)
        assert misfit(baton, model) is None
        assert {n for n in model if ".running_" not in n and "num_batches" not in n} == set(
            importance
        )
        sums.append(importance)
    assert all((two[n] >= one[n]).all() for one, two in pairwise(sums) for n in one)
    # Nothing is remembered at the first visit: its model is the plain one.
    assert join(model=whole[0].part(MODEL)).digest == plain[0].digest


def test_a_strength_of_0_is_training_as_it_is(root, tmp_path, threads, plain):
    found = go_round(toy(root, remember="ewc", remember_strength=0.0), tmp_path)

    assert [b.digest for b in found] == [b.digest for b in plain]


def test_sites_that_are_put_off_still_get_what_the_last_planned_one_hands_on(
    root, tmp_path, threads
):
    for absent, travels in (("wait", False), ("defer", True)):
        plan = toy(root, remember="si", steps=1)
        plan = plan.model_copy(update={"courier": CourierSettings(absent=absent)})
        courier = open_here(plan, tmp_path)
        last = lay(plan, courier.survey())[0].legs[-1]
        returned = courier.train(start_baton(plan, 0), last.stops)[0].baton
        assert bool(returned.part(IMPORTANCE)) == travels


def test_arms_that_are_no_relay_remember_nothing(root, tmp_path, threads):
    plan = toy(root, remember="si", steps=1)
    plan = plan.model_copy(update={"arms": ("pooled", "local", "fedavg")})
    courier = open_here(plan, tmp_path)
    for arm in lay(plan, courier.survey()):
        visit = courier.train(start_baton(plan, 0), arm.legs[0].stops[:1])[0]
        assert not visit.baton.part(IMPORTANCE), arm.label


def test_an_order_that_is_compared_is_a_relay_too():
    assert replace(STOP, arm="cwt-there-and-back").in_relay
    assert not replace(STOP, arm="fedavg").in_relay


def changed(baton, change):
    arrays = {name: array.copy() for name, array in baton.arrays().items()}
    name = next(n for n in arrays if n.startswith(IMPORTANCE) and arrays[n].ndim == 4)
    change(arrays, name)
    return Baton.of(arrays)


BROKEN = {
    "not finite": lambda arrays, name: arrays[name].fill(np.nan),
    "below 0": lambda arrays, name: arrays[name].fill(-1),
    "another shape": lambda arrays, name: arrays.update({name: arrays[name][0]}),
    "another type": lambda arrays, name: arrays.update({name: arrays[name].astype(np.float64)}),
    "of another network": lambda arrays, name: arrays.update({f"{IMPORTANCE}x": arrays[name]}),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_broken_importance_is_refused_wherever_it_comes(root, tmp_path, threads, change):
    plan = toy(root, remember="si", steps=1)
    courier = open_here(plan, tmp_path)
    one, two, *_ = lay(plan, courier.survey())[0].legs
    honest = courier.train(start_baton(plan, 0), one.stops)[0].baton
    broken, allowed = changed(honest, change), Acceptance()

    check_incoming(honest, None, plan, allowed, lambda _: 1.0, tmp_path / "quarantine")
    with pytest.raises(RefusedError, match="importance"):
        check_incoming(broken, None, plan, allowed, lambda _: 1.0, tmp_path / "quarantine")
    assert misfit(broken, honest.part(MODEL))
    with pytest.raises((VisitError, LedgerError), match="importance"):
        courier.train(broken, two.stops)


def test_importance_that_the_study_does_not_send_is_refused(tmp_path):
    plan = study(model={"encoder": "resnet18_quarter"})
    start = start_baton(plan, 0)
    weights = {n: a for n, a in start.part(MODEL).items() if ".running_" not in n and a.ndim}
    baton = join(model=start.part(MODEL), importance={n: np.abs(a) for n, a in weights.items()})

    with pytest.raises(RefusedError, match="the importance of weights came with it"):
        check_incoming(baton, None, plan, Acceptance(), lambda _: 1.0, tmp_path / "quarantine")

"""What a visit does, on tiny synthetic patients: same bytes, exact policies, clear failures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from roundelay.errors import VisitError
from roundelay.learning.fedprox import pull_back
from roundelay.learning.fit import set_training
from roundelay.learning.state import load_model
from roundelay.plan.arms import lay
from roundelay.relay.aggregation import final_model, recalibrated
from roundelay.relay.baton import MODEL, OPTIMISER, SUMS, join
from roundelay.relay.loop import relay
from roundelay.running.starting import start_baton
from roundelay.study.network_shape import NetworkShape
from visits import open_here, toy


class Keep:
    """A ledger that keeps every baton."""

    def __init__(self):
        self.batons, self.legs_run = [], []

    def last_baton(self):
        return None

    def append(self, leg, receipts, baton, proofs, merged):
        self.batons.append(baton)
        self.legs_run.append(leg.index)


def go_round(plan, home):
    courier, ledger = open_here(plan, home), Keep()
    arm = lay(plan, courier.survey())[0]
    relay(start_baton(plan, 0), arm, courier, ledger)
    return arm, ledger.batons


@pytest.mark.parametrize("state", ["reset", "travel", "stay"])
def test_the_same_way_gives_the_same_bytes(root, tmp_path, threads, state):
    plan = toy(root, optimiser_state=state)

    one, two = go_round(plan, tmp_path / "a")[1], go_round(plan, tmp_path / "b")[1]

    assert [b.digest for b in one] == [b.digest for b in two]
    assert len({b.digest for b in one}) == len(one)
    assert bool(one[0].part(OPTIMISER)) == (state == "travel")


def test_the_global_random_state_has_no_say(root, tmp_path, threads):
    torch.manual_seed(1)
    np.random.seed(1)
    one = go_round(toy(root), tmp_path / "a")[1]
    torch.manual_seed(2)
    np.random.seed(2)

    assert go_round(toy(root), tmp_path / "b")[1][-1].digest == one[-1].digest


def test_a_travelling_optimiser_goes_on_counting_where_it_was(root, tmp_path, threads):
    plan = toy(root, optimiser_state="travel", rounds=2, steps=2)
    courier = open_here(plan, tmp_path)
    stop = lay(plan, courier.survey())[0].legs[0].stops[0]
    first = courier.train(start_baton(plan, 0), [stop])[0].baton

    steps = first.part(OPTIMISER)["step/encoder.conv1.weight"]
    again = courier.train(first, [replace(stop, index=1, first_step=stop.steps)])[0].baton

    assert steps == stop.steps
    assert again.part(OPTIMISER)["step/encoder.conv1.weight"] == 2 * stop.steps


def test_the_trail_is_the_mean_of_the_last_rounds_hand_overs(root, tmp_path, threads):
    plan = toy(root, average="last_round")

    arm, batons = go_round(plan, tmp_path)

    weights = [leg.stops[0].slice_visits for leg in arm.legs[-2:]]
    last = [b.part(MODEL)["encoder.conv1.weight"].astype(np.float64) for b in batons[-2:]]
    expected = np.average(last, axis=0, weights=weights)
    assert np.allclose(final_model(batons[-1])["encoder.conv1.weight"], expected, atol=1e-7)
    assert not np.allclose(last[-1], expected, atol=1e-7)


def test_the_exponential_average_is_computed_as_by_hand(root, tmp_path, threads):
    plan = toy(root, average="ema", average_decay=0.5, steps=1, rounds=3)

    _, batons = go_round(plan, tmp_path)

    models = [b.part(MODEL)["encoder.conv1.weight"] for b in batons]
    expected = models[0]
    for model in models[1:]:
        expected = 0.5 * expected + 0.5 * model
    assert np.allclose(final_model(batons[-1])["encoder.conv1.weight"], expected, atol=1e-6)


def test_recalibration_over_sites_equals_the_same_draws_in_one_place(root, tmp_path, threads):
    plan = toy(root, recalibrate_batchnorm=True, recalibration_slices=8)
    courier = open_here(plan, tmp_path)
    arm = lay(plan, courier.survey())[0]
    start, stops = start_baton(plan, 0), arm.legs[-1].stops
    seen: dict[str, list[torch.Tensor]] = {}

    found = recalibrated(start, [v.baton.part(SUMS) for v in courier.train(start, stops)])

    model = load_model(NetworkShape("resnet18_quarter"), start.part(MODEL))
    layer = model.get_submodule("encoder.bn1")
    layer.register_forward_pre_hook(lambda _, x: seen.setdefault("x", []).append(x[0].double()))
    from roundelay.site.work import batches_of

    for stop in stops:
        for images, _ in batches_of(courier.local_site(stop.site), stop):
            set_training(model, frozen=len(images) == 1)
            with torch.no_grad():
                model(images)
    everything = torch.cat(seen["x"]).movedim(1, 0).flatten(1)
    arrays = found.part(MODEL)
    assert np.allclose(arrays["encoder.bn1.running_mean"], everything.mean(1), rtol=1e-6, atol=1e-7)
    assert np.allclose(arrays["encoder.bn1.running_var"], everything.var(1), rtol=1e-5, atol=1e-7)
    weight = "decoder.blocks.4.conv2.0.weight"
    assert np.array_equal(arrays[weight], start.part(MODEL)[weight])


def test_the_pull_of_fedprox_is_the_gradient_that_autograd_finds():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    pull = pull_back(model, 0.5)
    sent = [weight.detach().clone() for weight in model.parameters()]
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight))
    images = torch.randn(4, 3)

    model(images).square().sum().backward()
    pull()
    found = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    far = sum((w - s).square().sum() for w, s in zip(model.parameters(), sent, strict=True))
    (model(images).square().sum() + 0.5 / 2 * far).backward()

    for gradient, weight in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad)


def test_fedprox_stays_nearer_to_what_it_was_sent_than_fedavg(root, tmp_path, threads):
    def moved(arm):
        pull = {"fedprox_mu": 10.0} if arm == "fedprox" else {}
        plan = toy(root, arm, rounds=1, steps=4, learning_rate=1e-2, **pull)
        courier = open_here(plan, tmp_path / arm)
        start, way = start_baton(plan, 0), lay(plan, courier.survey())[0]
        end = relay(start, way, courier, Keep())
        before, after = start.part(MODEL), end.part(MODEL)
        return sum(float(np.square(after[k] - before[k]).sum()) for k in before if "conv" in k)

    assert moved("fedprox") < moved("fedavg")


def test_a_batch_of_one_leaves_batchnorm_whole():
    layer = nn.Sequential(nn.BatchNorm2d(2))
    set_training(layer, frozen=True)

    out = layer(torch.tensor([3.0, 5.0]).reshape(1, 2, 1, 1))

    assert torch.isfinite(out).all()
    assert torch.equal(layer[0].running_mean, torch.zeros(2))


def test_a_loss_that_is_not_finite_stops_the_visit_and_names_it(root, tmp_path, threads):
    plan = toy(root)
    courier = open_here(plan, tmp_path)
    stop = lay(plan, courier.survey())[0].legs[1].stops[0]
    arrays = start_baton(plan, 0).part(MODEL)
    arrays["encoder.conv1.weight"] = np.full_like(arrays["encoder.conv1.weight"], 3e38)

    with pytest.raises(VisitError, match=r"NORTH \(stop 2, round 1\) became nan in step 1"):
        courier.train(join(model=arrays), [stop])

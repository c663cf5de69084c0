"""The process of one site: how it is set up, and where it computes."""

from types import SimpleNamespace

import pytest

from roundelay.couriers import site_process
from roundelay.couriers.site_process import SiteProcess
from roundelay.errors import UserError
from roundelay.learning.machine import Machine
from surveys import study


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Ask a process on a machine with these devices; what it opened its patients with."""
    opened, set_up = [], []
    monkeypatch.setattr(
        site_process, "set_up_process", lambda *given, **named: set_up.append((given, named))
    )
    monkeypatch.setattr(
        site_process,
        "open_local_site",
        lambda *_, machine, **__: opened.append(machine) or SimpleNamespace(patients=()),
    )
    monkeypatch.setattr(site_process, "survey", lambda _: "counted")

    def ask_one(machine, device, gpu=False):
        monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
        plan = study(recipe={"deterministic": True})
        process = SiteProcess("NORTH", plan, {}, tmp_path, machine, device, 3)
        return process.survey(), opened, set_up

    return ask_one


def test_it_is_set_up_before_it_opens_anything(ask):
    answer, _, set_up = ask(Machine("cpu", False, False), "auto")

    assert answer.value == ("counted", ())
    assert set_up == [((3,), {"deterministic": True})]


def test_it_takes_the_gpu_that_its_machine_has_where_the_driver_took_what_there_is(ask):
    _, opened, _ = ask(Machine("cpu", True, True, cpu_kernels=True), "auto", gpu=True)

    assert opened == [Machine("cuda", True, True)]


def test_it_stays_on_a_device_that_was_chosen(ask):
    machine = Machine("cpu", True, True, cpu_kernels=True)

    _, opened, _ = ask(machine, "cpu", gpu=True)

    assert opened == [machine]


def test_a_chosen_device_that_it_lacks_is_answered_with_a_sentence(ask):
    answer, opened, _ = ask(Machine("cuda", True, True), "cuda")

    assert (answer.error, opened) == (UserError, [])
    assert "The device cuda isn't there" in answer.value

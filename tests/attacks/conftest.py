"""A run of two hospitals that attacks begin from."""

import pytest
import torch

from attacks.fuzzed import fuzzed_hospital
from attacks.situation import Situation, West, snapshot
from hospitals import Network, by_site
from roundelay.network.coordinator import surveys
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.messages import unpack
from roundelay.phantom.cohort import make_toy
from roundelay.plan.progress import Waiting
from surveys import study


@pytest.fixture(scope="session")
def situation(tmp_path_factory):
    """The requests are kept as they were sent, and WEST's files as they were before its visit."""
    place = tmp_path_factory.mktemp("attacks")
    data = make_toy(place / "data", seed=0, patients={"EAST": 3, "WEST": 3}, slices=4, size=64)
    net = Network(place, data, by_site(data))
    plan = study(
        top={"arms": ("swt",)},
        data={"root": str(data), "size": 32, "split": {"validation": 0.34, "test": 0.34}},
        model={"encoder": "resnet18_quarter"},
        recipe={"rounds": 1, "steps": 1, "batch": 2, "deterministic": True},
        evaluation={"samples": False},
    )
    asked, before = {}, {}

    def watch(direction, request, data):
        if direction == "request" and request.site == "WEST":
            message = unpack(data)
            kind = f"{message.head['ask']} {message.head.get('split', '')}".strip()
            if kind == "train":
                before.update(snapshot(net.homes["WEST"]))
            asked[kind] = message
        return data

    net.wire.tamper = watch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surveys, "AGAIN", 0.0)
        net.run(
            plan,
            place / "RUN",
            on_event=lambda e: (
                isinstance(e, Waiting) and "approve" in e.why and net.approve(e.site, plan)
            ),
        )
    return Situation(net, place / "RUN", asked, before)


def before_its_visit(situation, home):
    """WEST in a folder of its own, as it was."""
    for name, data in situation.before.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(data)
    for key in (home / "keys").iterdir():
        key.chmod(0o600)
    torch.set_num_threads(1)
    owner = own_keys(situation.net.place / "coordinator")
    return West(home, situation.asked["train"], owner, situation)


@pytest.fixture
def west(situation, tmp_path):
    return before_its_visit(situation, tmp_path / "WEST")


@pytest.fixture(scope="module")
def fuzzed(situation, module_path):
    """WEST for all tests of a file, with a network of few weights."""
    with fuzzed_hospital(before_its_visit(situation, module_path / "WEST")) as found:
        yield found

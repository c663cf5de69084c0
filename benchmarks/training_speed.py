"""Slices per second of a relay's visits, against two loops on the same slices in the same run.

(a) plain: the U-Net of segmentation-models-pytorch, float32, contiguous, PyTorch defaults, the
    same batches, loss and optimiser; in a process of its own, since what ours does with memory
    would help it too.
(b) bare: our own loop as tuned (precision and memory format as the probe finds them) in one go,
    with neither relay nor ledger nor receipts, and so without packing, digests and files.

The three take turns, visit by visit, (a) and (b) with one half of their steps before ours and one
after it, so that a machine that gets slower slows them alike; ratios are medians over the turns,
with their spread. All slices are read before the first turn.

A visit has 100 steps of 8 slices: half of what two epochs at a hospital of the public set with 800
slices take, so that the cost of a hand-over is not flattered. Rates of (a) are taken over fewer
steps, since a step costs it the same wherever it stands.

    python benchmarks/training_speed.py DATA [--turns 6] [--steps 100] [--plain-steps 12]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from roundelay.couriers.here import HereCourier
from roundelay.errors import MissingExtraError
from roundelay.learning.augment import Augmentation
from roundelay.learning.cpu.heap import keep_freed_memory
from roundelay.learning.draws import batches, seed_of
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.inputs import Batch, prepared
from roundelay.learning.loss import segmentation_loss
from roundelay.learning.machine import Machine, find_machine
from roundelay.learning.optimiser import Adam
from roundelay.learning.state import load_model
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import Leg, digest
from roundelay.relay.baton import Baton
from roundelay.relay.ledger import Header, Ledger
from roundelay.relay.loop import relay
from roundelay.running.starting import start_baton
from roundelay.site.opening import LocalSite
from roundelay.study.study import Study

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SITE = "chunk-1"


def make_study(options: argparse.Namespace) -> Study:
    """One site, one visit a turn: what a hospital of the benchmark preset does."""
    return Study.model_validate(
        {
            "name": "training-speed",
            "data": {
                "root": str(options.data),
                "sites": "chunks:1",
                "split": {"validation": 0.0, "test": 0.0},
                "crop": "brain",
                "size": options.size,
            },
            "recipe": {
                "rounds": options.turns,
                "steps": options.steps,
                "batch": options.batch,
                "optimiser": "adamw",
                "loss": "bce+tversky",
                "positive_share": 0.6,
            },
        }
    )


def smp_unet() -> torch.nn.Module:
    """The reference library's network; its import needs a torchvision that fits torch."""
    from torchvision_shim import ensure_torchvision

    ensure_torchvision()
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise MissingExtraError("The comparison", "smp") from error
    return smp.Unet("resnext50_32x4d", encoder_weights=None, in_channels=3, classes=1)


def plain_loop(model: torch.nn.Module, data: Iterable[Batch], study: Study) -> int:
    """What one writes in an afternoon."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=study.recipe.learning_rate)
    model.train()
    seen = 0
    for images, masks in data:
        optimiser.zero_grad()
        loss = segmentation_loss(model(images), masks, study.recipe.loss)
        loss.backward()
        optimiser.step()
        seen += len(images)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--plain-steps", type=int, default=12)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training_speed.json"))
    options = parser.parse_args()
    study = make_study(options)
    keep_freed_memory()
    machine = find_machine("auto")
    print(machine)

    with tempfile.TemporaryDirectory() as folder:
        found = measure(study, machine, Path(folder), options.plain_steps)
    print(f"{'loop':<8}{'slices/s':>10}{'spread':>16}")
    for name, values in found.items():
        spread = f"{min(values):.2f}–{max(values):.2f}"
        print(f"{name:<8}{statistics.median(values):>10.2f}{spread:>16}")
    ratios = {
        against: [ours / other for ours, other in zip(found["ours"], found[against], strict=True)]
        for against in ("plain", "bare")
    }
    for against, values in ratios.items():
        print(
            f"ours / {against}: {statistics.median(values):.3f}"
            f" ({min(values):.3f}–{max(values):.3f} over {len(values)} turns)"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "machine": str(machine),
        "size": options.size,
        "batch": options.batch,
        "steps_a_visit": options.steps,
        "slices_per_second": found,
        "ratios": ratios,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def draws(local_site: LocalSite, leg: Leg) -> Iterator[Batch]:
    """The batches of a leg's only stop, as a visit draws them."""
    stop = leg.stops[0]
    slices = [(i, j) for i, p in enumerate(local_site.patients) for j in range(len(p.images))]
    tumour = [local_site.patients[i].tumour[j] for i, j in slices]
    seed = seed_of(stop.seed, stop.arm, stop.site, stop.index)
    visits, steps = stop.slice_visits, stop.steps
    pairs = batches(slices, tumour, visits=visits, steps=steps, positive_share=0.6, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    return prepared(pairs, local_site.patients, local_site.cache, Augmentation(), generator)


def open_and_read(study: Study, machine: Machine, home: Path) -> HereCourier:
    """A courier whose one site has all its slices in memory."""
    courier = HereCourier(study, home=home, machine=machine, on_step=lambda _: None)
    local_site = courier.local_site(SITE)
    for patient in local_site.patients:
        for number in range(len(patient.images)):
            local_site.cache.slice(patient, number)
    return courier


def in_halves(local_site: LocalSite, steps: int) -> Callable[[Leg], Iterator[Batch]]:
    """Asked for a leg's batches, give one half of them; asked again, the other."""
    begun: dict[int, Iterator[Batch]] = {}

    def half(leg: Leg) -> Iterator[Batch]:
        data = begun.pop(leg.index, None)
        if data is None:
            data = begun[leg.index] = draws(local_site, leg)
        return islice(data, steps // 2)

    return half


def serve_plain(turns: Connection, study: Study, machine: Machine, home: Path, steps: int) -> None:
    """In a process of its own: to each leg that comes, answer with the seconds for half of it."""
    local_site, model = open_and_read(study, machine, home).local_site(SITE), smp_unet()
    half = in_halves(local_site, steps)
    turns.send(None)
    while (leg := turns.recv()) is not None:
        begin = time.perf_counter()
        plain_loop(model, half(leg), study)
        turns.send(time.perf_counter() - begin)


def measure(study: Study, machine: Machine, home: Path, plain_steps: int) -> dict[str, list[float]]:
    """Slices/s of each loop, a turn at a time."""
    plain, at_plain = Pipe()
    args = (at_plain, study, machine, home / "plain", plain_steps)
    process = get_context("spawn").Process(target=serve_plain, args=args, daemon=True)
    process.start()
    courier = open_and_read(study, machine, home)
    legs = (arm := lay(study, courier.survey())[0]).legs
    start = start_baton(study, 0)
    header = Header(arm.label, study.digest, digest(legs), "cohort", start.digest)
    ledger = Ledger(home / "arm", header, keep=frozenset())
    bare = machine.place(load_model(study.model.encoder, start.part("model/")))
    optimiser = Adam(study.recipe, bare)
    half = in_halves(courier.local_site(SITE), study.recipe.steps)
    plain.recv()
    seconds: dict[str, list[float]] = {"plain": [], "bare": [], "ours": []}

    def others(leg: Leg) -> None:
        plain.send(leg)
        seconds["plain"].append(plain.recv())
        begin = time.perf_counter()
        fit(
            bare, optimiser, half(leg), stop=leg.stops[0], recipe=study.recipe, machine=machine,
            hooks=Hooks(),
        )  # fmt: skip
        seconds["bare"].append(time.perf_counter() - begin)

    def after_leg(number: int, leg: Leg, _baton: Baton) -> None:
        """One relay over all visits; in the pauses between them the other loops' halves."""
        nonlocal begin
        seconds["ours"].append(time.perf_counter() - begin)
        others(leg)
        print(f"turn {number}" + (" (warm-up, not counted)" if not number else ""), flush=True)
        for following in legs[number + 1 : number + 2]:
            others(following)
        begin = time.perf_counter()

    others(legs[0])
    begin = time.perf_counter()
    relay(start, arm, courier, ledger, after_leg)
    plain.send(None)
    process.join()
    return rates(seconds, legs[0].stops[0].slice_visits, plain_steps * study.recipe.batch)


def rates(seconds: dict[str, list[float]], visit: int, plain: int) -> dict[str, list[float]]:
    """Slices/s by turn, the first of each left out: it warms up."""
    slices = {"plain": plain, "bare": visit, "ours": visit}
    pieces = {"plain": 2, "bare": 2, "ours": 1}
    return {
        name: [
            slices[name] / sum(of[first : first + pieces[name]])
            for first in range(pieces[name], len(of), pieces[name])
        ]
        for name, of in seconds.items()
    }


if __name__ == "__main__":
    main()

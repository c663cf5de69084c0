"""Training by turns: a plain loop, our own loop in one go, and a relay's visits.

All three see the same slices; `benchmarks/training_speed.py` says what each of them is.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from plain_network import SITE, open_and_read, smp_unet
from roundelay.learning.augment import Augmentation
from roundelay.learning.draws import batches, seed_of
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.inputs import Batch, prepared
from roundelay.learning.loss import segmentation_loss
from roundelay.learning.machine import Machine
from roundelay.learning.optimiser import Adam
from roundelay.learning.state import load_model
from roundelay.plan.arms import lay
from roundelay.plan.itinerary import Leg, digest
from roundelay.relay.baton import MODEL, Baton
from roundelay.relay.ledger import Header, Ledger
from roundelay.relay.loop import relay
from roundelay.running.starting import start_baton
from roundelay.site.opening import LocalSite
from roundelay.study.study import Study


def plain_loop(model: torch.nn.Module, data: Iterable[Batch], study: Study) -> int:
    """What one writes in an afternoon."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=study.recipe.learning_rate)
    model.train()
    seen = 0
    for images, masks in data:
        optimiser.zero_grad()
        loss = segmentation_loss(model(images), masks, study.recipe.loss)
        torch.autograd.backward(loss)
        optimiser.step()
        seen += len(images)
    return seen


def measure_training(
    study: Study, machine: Machine, home: Path, plain_steps: int
) -> dict[str, list[float]]:
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
    bare = machine.place(load_model(study.network, start.part(MODEL)))
    optimiser = Adam(study.recipe, bare)
    half = in_halves(courier.local_site(SITE), legs[0].stops[0].steps)
    plain.recv()
    seconds: dict[str, list[float]] = {"plain": [], "bare": [], "ours": []}

    begin = 0.0

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


def serve_plain(turns: Connection, study: Study, machine: Machine, home: Path, steps: int) -> None:
    """In a process of its own: to each leg that comes, answer with the seconds for half of it."""
    local_site, model = (
        open_and_read(study, machine, home).local_site(SITE),
        smp_unet(study.model.encoder),
    )
    half = in_halves(local_site, steps)
    turns.send(None)
    while (leg := turns.recv()) is not None:
        begin = time.perf_counter()
        plain_loop(model, half(leg), study)
        turns.send(time.perf_counter() - begin)


def in_halves(local_site: LocalSite, steps: int) -> Callable[[Leg], Iterator[Batch]]:
    """Asked for a leg's batches, give one half of them; asked again, the other."""
    begun: dict[int, Iterator[Batch]] = {}

    def half(leg: Leg) -> Iterator[Batch]:
        data = begun.pop(leg.index, None)
        if data is None:
            data = begun[leg.index] = draws(local_site, leg)
        return islice(data, steps // 2)

    return half


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

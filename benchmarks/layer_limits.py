"""How near each kind of layer comes to what the processor can do: in training and in prediction.

Training is the program's own loop (`learning.fit`) over one made-up batch; a run's own scores and
the inference of `evaluate` and `predict` are its `learning.predict` over made-up slices, by the
network as each of them places it. The limits are those of `processor_limits`. The network and
its limits take turns, so that a machine that gets slower slows both. Printed are milliseconds a
batch as medians over the turns, and `share`: the limit in the layer's time, with its spread over
the turns. The last column is what could be gained, so the next step for speed is the largest there.

    python benchmarks/layer_limits.py [--encoders resnext50_32x4d resnet18] [--turns 5] [--quick]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from layer_times import KINDS, REST, ByShape, Clock, Kind, Watched
from processor_limits import CHANNELS, Processor, network_of
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.volumes import Volume
from roundelay.learning.cpu.heap import keep_freed_memory
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.machine import Machine, find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.optimiser import Adam
from roundelay.learning.predict import BATCH, InferenceSettings, predict
from roundelay.plan.itinerary import Stop
from roundelay.study.sections import Recipe

RESULTS = Path(__file__).parent / "results" / "layer_limits.json"
ENCODERS = ("resnext50_32x4d", "resnet18")
RECIPE = Recipe(optimiser="adamw", loss="bce+tversky")

Place = Callable[[torch.nn.Module], torch.nn.Module]
"""Puts a network to where it predicts."""

Turn = Callable[[], dict[Kind, float]]
"""Seconds a batch by kind, and all of it without the clock as ``("all", "")``."""

ALL: Kind = ("all", "")


def training(encoder: str, machine: Machine, shape: tuple[int, int, int, int], steps: int) -> Turn:
    """Steps over the same batch of this shape."""
    images, batch = torch.randn(shape), shape[0]
    masks = (images[:, :1] > 1).float()
    stop = Stop("cwt", 0, 0, 1, "A", "train", (("A", 1),), steps * batch, steps, 0, steps)

    def trained(hooks_of: Callable[[torch.nn.Module], Hooks]) -> Callable[[], object]:
        model = machine.place(build_network(encoder, seed=0))
        optimiser, hooks = Adam(RECIPE, model), hooks_of(model)
        data = [(images, masks)] * steps
        return lambda: fit(
            model, optimiser, data, stop=stop, recipe=RECIPE, machine=machine, hooks=hooks
        )

    def watched(model: torch.nn.Module) -> Hooks:
        seen = Watched(model, clock)
        return Hooks(seen.after_backward, seen.after_step)

    clock = Clock()
    return _turn(clock, trained(watched), trained(lambda _: Hooks()), steps)


def prediction(place: Place, encoder: str, size: int, batches: int, machine: Machine) -> Turn:
    """Slices of one made-up exam, from numbers to masks of their own size."""
    voxels = np.random.default_rng(0).integers(0, 256, (CHANNELS, batches * BATCH, size, size))
    volume = Volume(voxels.astype(np.uint8), None)
    settings = InferenceSettings(Preprocessing("zscore", "none", size), 0.5, False)
    plain, seen = (place(build_network(encoder, seed=0)) for _ in range(2))
    clock = Clock()
    Watched(seen, clock)

    def watched() -> None:
        with ByShape(clock):
            predict(seen, volume, settings, machine)

    return _turn(clock, watched, lambda: predict(plain, volume, settings, machine), batches)


def _turn(
    clock: Clock, watched: Callable[[], object], plain: Callable[[], object], batches: int
) -> Turn:
    def turn() -> dict[Kind, float]:
        clock.turn_to((REST, "forward"))
        clock.read()
        watched()
        found = clock.read()
        begin = time.perf_counter()
        plain()
        found[ALL] = time.perf_counter() - begin
        return {kind: seconds / batches for kind, seconds in found.items()}

    turn()
    return turn


@dataclass(frozen=True)
class Measured:
    """Of each turn what was taken, and what the limit was then."""

    taken: list[dict[Kind, float]]
    limit: list[dict[Kind, float]]


def measure(turn: Turn, limits: Turn, turns: int) -> Measured:
    found = Measured([], [])
    for _ in range(turns):
        found.taken.append(turn())
        limit = limits()
        found.limit.append({**limit, ALL: sum(limit.values())})
    return found


def shares(found: Measured) -> dict[Kind, dict[str, Any]]:
    """Milliseconds and the limit's share in them, by kind: those that appear."""
    rows: dict[Kind, dict[str, Any]] = {}
    for kind in [(k, phase) for k in KINDS for phase in ("forward", "backward")] + [ALL]:
        taken = [1e3 * turn.get(kind, 0.0) for turn in found.taken]
        limit = [1e3 * turn.get(kind, 0.0) for turn in found.limit]
        if any(taken) or any(limit):
            share = [one / of if of else 0.0 for one, of in zip(limit, taken, strict=True)]
            rows[kind] = {"ms": taken, "limit_ms": limit, "share": share}
    return rows


def show(title: str, rows: Mapping[Kind, Mapping[str, Sequence[float]]]) -> None:
    print(f"\n{title}")
    head = ("kind", "", "ms", "limit", "share", "spread", "above")
    print("{:<26}{:<10}{:>8}{:>8}{:>8}{:>14}{:>8}".format(*head))
    for (kind, phase), row in rows.items():
        taken, limit = statistics.median(row["ms"]), statistics.median(row["limit_ms"])
        share = "–" if not limit else f"{statistics.median(row['share']):.2f}"
        spread = f"{min(row['share']):.2f}–{max(row['share']):.2f}" if limit else ""
        numbers = f"{taken:>8.1f}{limit:>8.1f}{share:>8}{spread:>14}{taken - limit:>8.1f}"
        print(f"{kind:<26}{phase:<10}{numbers}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=ENCODERS)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="of training or predicting, a turn")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8, help=f"in training; {BATCH} predicts")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--out", type=Path, default=RESULTS)
    found = parser.parse_args()
    if found.quick:
        found.turns, found.steps, found.size, found.batch = 2, 1, 64, 2
    return found


def main() -> None:
    asked = options()
    keep_freed_memory()
    machine = find_machine(asked.precision)
    print(machine)
    result: dict[str, Any] = {
        "machine": str(machine),
        "size": asked.size,
        "batch": {"training": asked.batch, "scores": BATCH, "inference": BATCH},
    }
    for encoder in asked.encoders:
        for what, batch in result["batch"].items():
            rows = shares(measured(asked, machine, encoder, what))
            show(f"{encoder}, {what}: a batch of {batch}, {asked.size} pixels", rows)
            named = {", ".join(filter(None, kind)): row for kind, row in rows.items()}
            result[f"{encoder}, {what}"] = named
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")


def measured(asked: argparse.Namespace, machine: Machine, encoder: str, what: str) -> Measured:
    """All turns of one network at one kind of work."""
    trains, size = what == "training", asked.size
    batch = asked.batch if trains else BATCH
    if trains:
        turn = training(encoder, machine, (batch, CHANNELS, size, size), asked.steps)
    else:
        place = machine.place_to_predict if what == "scores" else machine.place_to_infer
        turn = prediction(place, encoder, size, asked.steps, machine)
    network = network_of(encoder, size, batch)
    dtype = torch.bfloat16 if machine.bfloat16 else torch.float32
    return measure(turn, lambda: Processor(dtype).limits(network, training=trains), asked.turns)


if __name__ == "__main__":
    main()

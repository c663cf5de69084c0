"""Slices per second of a relay and of prediction, beside others and the limit of the processor.

Training, against two loops on the same slices in the same run:

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

Prediction, from an exam's numbers to its mask: ours as `evaluate` and `predict` place a model, and
as a run scores its own patients (`scores`), against (a)'s network by the same function, float32 and
contiguous, before and after each turn of ours.

The limit is that of `processor_limits.py`, measured after the turns, as many times;
`layer_limits.py` says where the rest of the time goes.

    python benchmarks/training_speed.py DATA [--encoders resnext50_32x4d resnet18] [--turns 6]
        [--steps 100] [--plain-steps 12] [--slices 96] [--quick]
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from prediction_turns import measure_prediction
from processor_limits import Processor, network_of
from roundelay.learning.cpu.heap import keep_freed_memory
from roundelay.learning.machine import Machine, find_machine
from roundelay.learning.predict import BATCH
from roundelay.study.study import Study
from training_turns import measure_training

ENCODERS = ("resnext50_32x4d", "resnet18")
RESULTS = Path(__file__).parent / "results" / "training_speed.json"

Rates = dict[str, list[float]]
"""Slices per second by turn."""


def make_study(asked: argparse.Namespace, encoder: str) -> Study:
    """One site, one visit a turn: what a hospital of the benchmark preset does."""
    return Study.model_validate(
        {
            "name": "training-speed",
            "data": {
                "root": str(asked.data),
                "sites": "chunks:1",
                "split": {"validation": 0.0, "test": 0.0},
                "crop": "brain",
                "size": asked.size,
            },
            "model": {"encoder": encoder},
            "recipe": {
                "rounds": asked.turns,
                "steps": asked.steps,
                "batch": asked.batch,
                "optimiser": "adamw",
                "loss": "bce+tversky",
                "positive_share": 0.6,
            },
        }
    )


def measure(study: Study, machine: Machine, asked: argparse.Namespace) -> dict[str, Rates]:
    """Training and prediction with one network, each with the limit beside it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        training = measure_training(study, machine, home / "training", asked.plain_steps)
        prediction = measure_prediction(
            study, machine, home / "prediction", asked.turns, asked.slices
        )
    for rates, batch in ((training, asked.batch), (prediction, BATCH)):
        network = network_of(study.model.encoder, asked.size, batch)
        rates["limit"] = [
            batch / _limit(machine, network, training=rates is training) for _ in rates["ours"]
        ]
    return {"training": training, "prediction": prediction}


def _limit(machine: Machine, network: Any, *, training: bool) -> float:
    """Seconds that a batch takes at least."""
    dtype = torch.bfloat16 if machine.bfloat16 else torch.float32
    return sum(Processor(dtype).limits(network, training=training).values())


def ratios_of(rates: Mapping[str, Sequence[float]]) -> Rates:
    """Ours by each of the others, turn by turn."""
    return {
        other: [ours / of for ours, of in zip(rates["ours"], values, strict=True)]
        for other, values in rates.items()
        if other != "ours"
    }


def show(title: str, rates: Rates) -> None:
    print(f"\n{title}\n{'':<8}{'slices/s':>10}{'spread':>16}")
    for name, values in rates.items():
        spread = f"{min(values):.2f}–{max(values):.2f}"
        print(f"{name:<8}{statistics.median(values):>10.2f}{spread:>16}")
    for other, values in ratios_of(rates).items():
        print(
            f"ours / {other}: {statistics.median(values):.3f}"
            f" ({min(values):.3f}–{max(values):.3f} over {len(values)} turns)"
        )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoders", nargs="+", default=ENCODERS)
    parser.add_argument("--turns", type=int, default=6, help="the first warms up")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--plain-steps", type=int, default=12)
    parser.add_argument("--slices", type=int, default=96, help="to predict, a turn")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--out", type=Path, default=RESULTS)
    found = parser.parse_args()
    if found.quick:
        found.turns, found.steps, found.plain_steps, found.slices = 3, 4, 2, 12
        found.size, found.batch = 64, 2
    return found


def main() -> None:
    asked = options()
    keep_freed_memory()
    machine = find_machine("auto")
    print(machine)
    result: dict[str, Any] = {
        "machine": str(machine),
        "size": asked.size,
        "batch": {"training": asked.batch, "prediction": BATCH},
        "steps_a_visit": asked.steps,
        "slices_predicted": asked.slices,
    }
    for encoder in asked.encoders:
        found = measure(make_study(asked, encoder), machine, asked)
        for what, rates in found.items():
            show(f"{encoder}, {what}", rates)
            told = {"slices_per_second": rates, "ratios": ratios_of(rates)}
            result[f"{encoder}, {what}"] = told
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What judging costs: metrics against the forward pass, and the report of a hundred patients.

The metrics of all slices of a folder's patients (Dice by patient and slice, volumes, HD95) against
predicting the same slices with the paper's network, in turns. Then a toy run of six arms is made
whose hundred patients test, and its report written from a cold process.

    python benchmarks/judging_cost.py DATA [--slices 1000] [--size 160] [--turns 3]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from roundelay.data.formats import lgg
from roundelay.data.preprocessing import Preprocessing
from roundelay.evaluation.scores import score_patient
from roundelay.learning.machine import find_machine
from roundelay.learning.networks import build_network
from roundelay.learning.predict import InferenceSettings, predict
from roundelay.phantom.cohort import make_toy
from roundelay.running.run import run_study
from roundelay.study.study import Study


def time_metrics(data: Path, slices: int, size: int, turns: int) -> dict[str, list[float]]:
    """Seconds of metrics and of prediction over the same slices, by turn."""
    machine = find_machine("auto")
    network = machine.place_to_predict(build_network("resnext50_32x4d", seed=0))
    settings = InferenceSettings(Preprocessing("zscore", "brain", size), 0.5, False)
    cases, count = [], 0
    for patient in lgg.find_patients(data).patients:
        volume = lgg.read_volume(patient)
        cases.append((patient, volume))
        count += len(volume.slices)
        if count >= slices:
            break
    seconds: dict[str, list[float]] = {"metrics": [], "forward": []}
    for _ in range(turns):
        begin = time.perf_counter()
        marked = [predict(network, volume, settings, machine) for _, volume in cases]
        between = time.perf_counter()
        # An untrained network marks half of all pixels at random: the worst that HD95 can meet.
        # A trained one marks about what the reference does, so the reference moved by 3 pixels
        # stands for it.
        near = [volume.reference[0].copy() for _, volume in cases]
        for mask in near:
            mask[:, 3:] = mask[:, :-3]
        middle = time.perf_counter()
        for (patient, volume), mask in zip(cases, near, strict=True):
            score_patient(patient.id, patient.site, "test", mask, volume.reference[0])
        seconds["forward"].append((between - begin) * slices / count)
        seconds["metrics"].append((time.perf_counter() - middle) * slices / count)
    assert all(m.shape == v.reference.shape for m, (_, v) in zip(marked, cases, strict=True))
    return seconds


def time_report(home: Path) -> tuple[float, int]:
    """Seconds of `roundelay report` over a run of six arms with a hundred test patients."""
    patients = dict.fromkeys(("NORTH", "EAST", "SOUTH", "WEST", "LAKE"), 25)
    make_toy(home / "data", seed=0, patients=patients, slices=4, size=64)
    study = Study.model_validate(
        {
            "name": "hundred",
            "arms": ("cwt", "swt", "fedavg", "fedprox", "pooled", "local"),
            "data": {
                "root": str(home / "data"), "size": 32, "split": {"validation": 0.1, "test": 0.8},
            },
            "model": {"encoder": "resnet18"},
            "recipe": {"rounds": 4, "steps": 1, "batch": 2},
            "evaluation": {"follow": "visit"},
        }
    )  # fmt: skip
    summary = run_study(study, home / "RUN").as_json()
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "roundelay", "report", str(home / "RUN")], check=True)
    return time.perf_counter() - begin, summary["arms"][0]["test"]["patients"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/judging_cost.json"))
    options = parser.parse_args()
    seconds = time_metrics(options.data, options.slices, options.size, options.turns)
    shares = [m / f for m, f in zip(seconds["metrics"], seconds["forward"], strict=True)]
    for name, values in seconds.items():
        print(f"{name:<8} of {options.slices} slices: {statistics.median(values):.2f} s")
    print(
        f"metrics / forward: {statistics.median(shares):.3f} ({min(shares):.3f}–{max(shares):.3f})"
    )
    with tempfile.TemporaryDirectory() as home:
        report, patients = time_report(Path(home))
    print(f"report of six arms and {patients} patients, from a cold process: {report:.1f} s")
    result = {
        "machine": str(find_machine("auto")),
        "slices": options.slices,
        "seconds": seconds,
        "report_patients": patients,
        "report_seconds": report,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What a hand-over costs in one process and over Ray: start, hop, whole run, memory.

Two trainings of one step a visit on the synthetic cohort, each in a process of its own: ResNeXt50
(128 MB) twice round its five hospitals, and ResNet18 (57 MB) once round fifty. A hop is the time
between two lines of the ledger, less the training that the second one states. Memory is that of
all processes of the run, Ray's own included, shared pages counted once. Writes
results/ray_handovers.json.

    python benchmarks/ray_handovers.py [--runs 3] [--courier here cluster] [--sites 5 50]
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from memory import Peak
from roundelay.phantom.cohort import make_phantom
from roundelay.phantom.scanner import HOSPITALS

RESULTS = Path(__file__).parent / "results" / "ray_handovers.json"
SCENARIOS = {5: ("resnext50_32x4d", 2), 50: ("resnet18", 1)}
STUDY = """
name = "ray-handovers"
arms = ["cwt"]
[data]
root = "{root}"
sites = "{sites}"
size = 64
split = {{ validation = 0.0, test = 0.0 }}
[model]
encoder = "{encoder}"
[recipe]
rounds = {rounds}
steps = 1
batch = 2
work = "equal"
precision = "float32"
[evaluation]
samples = false
[courier]
kind = "{courier}"
"""


def measure(place: Path, root: Path, count: int, courier: str) -> dict[str, object]:
    """One run by the command line."""
    encoder, rounds = SCENARIOS[count]
    study, out = place / "study.toml", place / "RUN"
    sites = "institution" if count == 5 else f"chunks:{count}"
    study.write_text(
        STUDY.format(root=root, sites=sites, encoder=encoder, rounds=rounds, courier=courier)
    )
    ledger, begun, times = out / "arms" / "cwt-0" / "ledger.jsonl", time.time(), list[float]()
    running = subprocess.Popen(
        [sys.executable, "-m", "roundelay", "run", str(study), "--out", str(out)],
        stdout=subprocess.DEVNULL,
    )
    peak, looked = Peak(running.pid), 0.0
    while running.poll() is None:
        if time.time() - looked > 0.25:
            peak.look()
            looked = time.time()
        done = ledger.read_bytes().count(b"\n") - 1 if ledger.exists() else 0
        times += [time.time()] * (done - len(times))
        time.sleep(0.01)
    seconds = time.time() - begun
    if running.returncode:
        raise SystemExit(f"The run of {count} sites ended with {running.returncode}.")
    lines = [json.loads(line) for line in ledger.read_bytes().splitlines()]
    trained = [r["seconds"] for line in lines for r in line.get("receipts", ())]
    visits = itertools.pairwise(times[: len(trained)])  # the ledger's last line closes it
    hops = [b - a - own for (a, b), own in zip(visits, trained[1:], strict=True)]
    return {
        "sites": count,
        "courier": courier,
        "start_s": round(times[0] - trained[0] - begun, 2),
        "hop_s": round(statistics.median(hops), 3),
        "hops_s": [round(hop, 2) for hop in hops],
        "run_s": round(seconds, 1),
        "peak_mb": round(peak.bytes / 1e6),
        "processes": peak.processes,
        "last": lines[-2]["baton"][:12],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--courier", nargs="+", default=["here", "cluster"])
    parser.add_argument("--sites", type=int, nargs="+", default=list(SCENARIOS))
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        patients = {name: 2 * hospital.patients for name, hospital in HOSPITALS.items()}
        root = make_phantom(Path(folder) / "phantom", patients=patients, slices=8)
        for count, run, courier in itertools.product(given.sites, range(given.runs), given.courier):
            place = Path(folder) / f"{count}-{courier}-{run}"
            place.mkdir()
            rows.append(measure(place, root, count, courier))
            shown = {key: value for key, value in rows[-1].items() if key != "hops_s"}
            print("  ".join(f"{key} {value}" for key, value in shown.items()), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

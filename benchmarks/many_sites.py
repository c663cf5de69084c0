"""Many small hospitals on one machine: seconds and memory as their number grows.

Each site has three made-up patients of three slices; a network a quarter as wide as ResNet18
passes all of them once, in one process (`here`) or over Ray (`cluster`). Each size runs in a
process of its own. A visit's overhead is what the run took beyond training, from the first visit
on, by visit. Writes results/many_sites.json.

    python benchmarks/many_sites.py [--sites 10 100 1000] [--courier here cluster]
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from memory import Peak

RESULTS = Path(__file__).parent / "results" / "many_sites.json"
LOOK_SECONDS = 1.0
"""Between two looks at memory: over Ray each takes a tenth of a second of a processor."""

SIDE, SLICES, PATIENTS = 64, 3, 3
STUDY = """
name = "many-sites"
arms = ["cwt"]
[data]
root = "images"
sites = "table:partition.csv"
size = 32
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 1
batch = 2
[evaluation]
samples = false
[courier]
kind = "{courier}"
threads = 1
"""


def make_sites(place: Path, count: int, courier: str) -> Path:
    """A folder of `count` sites in the layout of the LGG set, with its table and its study."""
    rng = np.random.default_rng(0)
    i, j = np.indices((SIDE, SIDE))
    head = ((i - 32) / 26) ** 2 + ((j - 32) / 22) ** 2 < 1
    rows = []
    for number in range(count * PATIENTS):
        site, name = f"site-{number // PATIENTS:04}", f"TCGA_AA_{number:05}_20000101"
        folder = place / "images" / name
        folder.mkdir(parents=True)
        centre = rng.integers(22, 42, 2)
        for k in range(1, SLICES + 1):
            mask = ((i - centre[0]) ** 2 + (j - centre[1]) ** 2 < 36) & head & (k != 1)
            grey = (rng.normal(90, 12, (SIDE, SIDE, 3)) + 60 * mask[..., None]) * head[..., None]
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / f"{name}_{k}.tif")
            Image.fromarray((mask * 255).astype(np.uint8)).save(folder / f"{name}_{k}_mask.tif")
        split = ("train", "train", "test")[number % PATIENTS]
        rows.append({"patient": name, "site": site, "split": split})
    with (place / "partition.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    study = place / "study.toml"
    study.write_text(STUDY.format(courier=courier))
    return study


def measure(count: int, courier: str) -> dict[str, object]:
    """One run by the command line; what it took and what it left behind."""
    with tempfile.TemporaryDirectory() as folder:
        study = make_sites(Path(folder), count, courier)
        out = Path(folder) / "RUN"
        command = [sys.executable, "-m", "roundelay"]
        begin = time.monotonic()
        subprocess.run([*command, "check", str(study), "--json"], check=True, capture_output=True)
        check = time.monotonic() - begin
        begun = time.time()
        running = subprocess.Popen(
            [*command, "run", str(study), "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak = Peak(running.pid)
        looked = 0.0
        first, ledger = None, out / "arms" / "cwt-0" / "ledger.jsonl"
        while running.poll() is None:
            if time.time() - looked > LOOK_SECONDS:
                peak.look()
                looked = time.time()
            if first is None and ledger.exists() and ledger.read_bytes().count(b"\n") > 1:
                first = time.time()
            time.sleep(0.1)
        ended = time.time()
        if running.returncode or first is None:
            raise SystemExit(f"The run of {count} sites ended with {running.returncode}.")
        last = ledger.stat().st_mtime
        lines = [json.loads(line) for line in ledger.read_bytes().splitlines()]
        trained = sum(r["seconds"] for line in lines for r in line.get("receipts", ()))
        begin = time.monotonic()
        subprocess.run([*command, "report", str(out)], check=True, capture_output=True)
        report = time.monotonic() - begin
        return {
            "sites": count,
            "courier": courier,
            "check_s": round(check, 1),
            "first_visit_s": round(first - begun, 1),
            "run_s": round(ended - begun, 1),
            "training_s": round(trained, 1),
            "overhead_ms_a_visit": round(1000 * (last - first - trained) / max(count - 1, 1), 1),
            "after_last_visit_s": round(ended - last, 1),
            "report_s": round(report, 1),
            "report_mb": round((out / "report.html").stat().st_size / 1e6, 2),
            "peak_mb": round(peak.bytes / 1e6),
            "processes": peak.processes,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--courier", nargs="+", default=["here", "cluster"])
    given = parser.parse_args()
    rows = []
    for courier in given.courier:
        for count in given.sites:
            rows.append(measure(count, courier))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

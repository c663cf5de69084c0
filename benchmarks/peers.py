"""The same cyclic training in Roundelay and in what people would use instead, on this machine.

One step a visit of the same network, two rounds through 5 sites (ResNeXt50, 128 MB) and one round
through 50 (ResNet18, 57 MB): Roundelay in one process, over Ray and between hospitals (server,
sites and coordinator on loopback, sealed; each site approves), Flower's simulation, NVIDIA FLARE's
simulator and its processes with its cyclic recipe. Peers that keep processes for each site run with
5 alone, unless `--peers` names them. Each runs by itself, by turns, `--runs` times. A hop is the
time between the ends of two visits, less the step; memory is that of all processes, shared pages
counted once. Flower needs an environment of its own, with this project in it:

    python -m venv FLOWER && FLOWER/bin/pip install -e . 'flwr[simulation]==1.42.0'
    python benchmarks/peers.py --flower FLOWER/bin/python [--runs 3] [--sites 5 50]

Writes results/peers.json.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from many_sites import make_sites
from memory import Peak

RESULTS = Path(__file__).parent / "results" / "peers.json"
APPS = Path(__file__).parent / "peer_apps"
SCENARIOS = {5: ("resnext50_32x4d", 2), 50: ("resnet18", 1)}
PATIENCE = 900
"""Seconds after which a peer that has not ended is given up."""

LINES = {
    "roundelay here": None,
    "roundelay ray": None,
    "roundelay network": None,
    "flower simulation": ["flower_cyclic.py"],
    "nvflare simulator": ["nvflare_cyclic.py", "nvflare_client.py"],
    "nvflare processes": ["nvflare_cyclic.py", "nvflare_client.py"],
}
"""By peer: the files that a user writes, beside the network and the step; None: a study."""
PLAN_LINES = 6
"""Of the file that names a network's sites and its server (tests/parties.py writes it)."""
A_SITE_EACH = ("roundelay network", "nvflare simulator", "nvflare processes")
"""Peers that keep a process or more for each site."""

STUDY = """
name = "peers"
arms = ["cwt"]
[data]
root = "images"
{who}
size = 64
[model]
encoder = "{encoder}"
[recipe]
rounds = {rounds}
steps = 1
batch = 2
precision = "float32"
[evaluation]
samples = false
[courier]
kind = "{courier}"
"""
WHO = 'sites = "table:partition.csv"'
WHO_BETWEEN_HOSPITALS = "split = { validation = 0.0, test = 0.34 }"


def command_of(peer: str, place: Path, count: int, flower: Path | None) -> list[str]:
    encoder, rounds = SCENARIOS[count]
    kind, _, how = peer.partition(" ")
    if kind == "roundelay":
        courier = "cluster" if how == "ray" else "here"
        make_sites(place, count, courier)
        who = WHO_BETWEEN_HOSPITALS if how == "network" else WHO
        text = STUDY.format(encoder=encoder, rounds=rounds, courier=courier, who=who)
        (place / "study.toml").write_text(text)
        if how == "network":
            return [sys.executable, str(APPS / "roundelay_network.py"), str(place)]
        out = str(place / "RUN")
        return [sys.executable, "-m", "roundelay", "run", str(place / "study.toml"), "--out", out]
    if kind == "flower":
        return [str(flower), str(APPS / "flower_cyclic.py")]
    return [sys.executable, str(APPS / "nvflare_cyclic.py"), how, str(place / "work")]


def measure(peer: str, count: int, flower: Path | None, step: float) -> dict[str, object]:
    encoder, rounds = SCENARIOS[count]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        command = command_of(peer, place, count, flower)
        log = place / "ends.jsonl"
        log.touch()
        given = {
            "ENCODER": encoder, "SITES": str(count), "ROUNDS": str(rounds), "PEER_LOG": str(log),
            "PYTHONPATH": str(APPS), "NVFLARE_POC_WORKSPACE": str(place / "poc"),
        }  # fmt: skip
        begin = time.time()
        with (place / "output.txt").open("w") as said:
            running = subprocess.Popen(
                command, env={**os.environ, **given}, stdout=said, stderr=said, cwd=place
            )
            peak, ends = Peak(running.pid, str(log)), list[float]()
            ledger = place / "RUN" / "arms" / "cwt-0" / "ledger.jsonl"
            while running.poll() is None and time.time() - begin < PATIENCE:
                peak.look()
                for _ in range(50):  # memory is dear to look at, the ledger isn't
                    if ledger.exists():
                        legs = ledger.read_bytes().count(b"\n") - 1
                        ends += [time.time()] * (min(legs, count * rounds) - len(ends))
                    time.sleep(0.02)
        total = time.time() - begin
        peak.end()
        tail = (place / "output.txt").read_text()[-600:]
        ends = ends or [json.loads(line)["end"] for line in log.read_text().splitlines()]
    if running.returncode or len(ends) < count * rounds:
        return {"peer": peer, "sites": count, "failed": f"{len(ends)} visits; {tail}"}
    hops = [b - a - step for a, b in itertools.pairwise(ends)]
    return {
        "peer": peer,
        "sites": count,
        "start_s": round(ends[0] - step - begin, 1),
        "hop_s": round(statistics.median(hops), 2),
        "hop_first_round_s": round(statistics.median(hops[: count - 1]), 2),
        "run_s": round(total, 1),
        "memory_gb": round(peak.bytes / 1e9, 2),
        "processes": peak.processes,
        "lines": lines_of(peer),
    }


def peers_of(count: int) -> list[str]:
    return [peer for peer in LINES if count == min(SCENARIOS) or peer not in A_SITE_EACH]


def lines_of(peer: str) -> int:
    """Lines that a user writes, empty ones left out."""
    files = LINES[peer]
    texts = [STUDY] if files is None else [(APPS / name).read_text() for name in files]
    lines = sum(bool(line.strip()) for text in texts for line in text.splitlines())
    return lines + PLAN_LINES * peer.endswith("network")


def step_seconds(encoder: str) -> float:
    """The median of the same step in a process of its own, after a warm-up."""
    code = (
        "import statistics; from shared import Net, train_step;"
        f" net = Net('{encoder}'); found = [train_step(net, 0) for _ in range(6)];"
        " print(statistics.median(found[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(APPS)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flower", type=Path, help="the Python of Flower's environment")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--sites", type=int, nargs="+", default=[5, 50], choices=SCENARIOS)
    parser.add_argument("--peers", nargs="+", choices=list(LINES))
    given = parser.parse_args()
    rows = []
    for count in given.sites:
        step = step_seconds(SCENARIOS[count][0])
        print(f"{count} sites, {SCENARIOS[count][0]}: a step takes {step:.2f} s", flush=True)
        for _ in range(given.runs):
            for peer in given.peers or peers_of(count):
                if peer.startswith("flower") and given.flower is None:
                    continue
                rows.append(measure(peer, count, given.flower, step) | {"step_s": round(step, 3)})
                print("  ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

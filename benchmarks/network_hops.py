"""What a hop between hospitals costs: transfer and FLARE, opening and sealing, training.

Server, coordinator and a site for each institution as real processes over mutual TLS on loopback,
each site with its own patients' folders only. The paper's SWT budget (80 slices), then CWT of two
rounds. Writes results/network_hops.json.

    python benchmarks/network_hops.py ../shared/data/lgg [--encoder resnext50_32x4d] [--rounds 2]
"""

import argparse
import itertools
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "network_hops.json"
STUDY = """
name = "between-hospitals-{arm}"
arms = ["{arm}"]
[data]
root = "elsewhere"
size = 256
train_slices = 80
split = {{ validation = 0.0, test = 0.2 }}
[model]
encoder = "{encoder}"
[recipe]
rounds = {rounds}
epochs = {epochs}
batch = 2
[courier]
threads = {threads}
"""


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "roundelay", *map(str, words)]


def make_network(data: Path, place: Path, threads: int) -> list[subprocess.Popen[bytes]]:
    """Kits, and all processes started; sites by the institution in the folders' names."""
    root = data / "kaggle_3m" if (data / "kaggle_3m").is_dir() else data
    sites: dict[str, list[Path]] = {}
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        sites.setdefault(folder.name.split("_")[1], []).append(folder)
    for site, folders in sites.items():
        for folder in folders:
            shutil.copytree(folder, place / site / folder.name)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (place / "NETWORK.toml").write_text(
        f'name = "bench"\nsites = {json.dumps(sorted(sites))}\n[server]\nhost = "localhost"\n'
        f"port = {port}\n"
    )
    subprocess.run(
        command("network", "create", place / "NETWORK.toml", "--out", place / "kits"), check=True
    )
    started = [start(place, "server", "server", "start", place / "kits" / "server")]
    for site in sites:
        kit = place / "kits" / site
        started.append(
            start(place, site, "site", "start", kit, "--data", place / site, "--threads", threads)
        )
    return started


def start(place: Path, name: str, *words: object) -> subprocess.Popen[bytes]:
    out = (place / f"{name}.out").open("wb")
    return subprocess.Popen(command(*words), stdout=out, stderr=out)


def submit(place: Path, arm: str, text: str) -> dict[str, object]:
    """Run a study over the network; the seconds of each hop and what they are made of."""
    (place / f"{arm}.toml").write_text(text)
    out = place / f"RUN-{arm}"
    kit = place / "kits" / "coordinator"
    words = command("submit", place / f"{arm}.toml", "--kit", kit, "--out", out)
    begin = time.time()
    process = subprocess.Popen(words)
    ledger, seen, times = out / "arms" / f"{arm}-0" / "ledger.jsonl", 0, []
    while process.poll() is None:
        approve(place)
        count = len(ledger.read_text().splitlines()) if ledger.exists() else 0
        if count > seen:
            times += [time.time()] * (count - seen)
            seen = count
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(process.returncode)
    total = time.time() - begin
    lines = [json.loads(line) for line in ledger.read_text().splitlines()][1:]
    trained = [receipt for line in lines for receipt in line["receipts"]]
    doors = [door(place, receipt["site"], i) for i, receipt in enumerate(trained)]
    hops = [b - a for a, b in itertools.pairwise(times)]
    rows = [
        {
            "site": receipt["site"],
            "hop_s": round(hop, 2),
            "training_s": receipt["seconds"],
            "opening_and_sealing_s": round(inside - receipt["seconds"], 2),
            "transfer_and_flare_s": round(hop - inside, 2),
        }
        for receipt, inside, hop in zip(trained, doors, hops, strict=True)
    ]
    summary = json.loads((out / "summary.json").read_text())
    dice = summary["arms"][0]["test"]["dice_mean"]
    return {"arm": arm, "seconds": round(total, 1), "dice_mean": dice, "hops": rows}


def approve(place: Path) -> None:
    """Be the operator of every hospital."""
    for waiting in place.glob("kits/*/roundelay/pending/*.json"):
        kit = waiting.parents[2]
        from roundelay.network.proposal import proposal_from_json

        digest = proposal_from_json(json.loads(waiting.read_text())).study.digest
        words = command("site", "approve", digest, "--kit", kit, "--yes")
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def door(place: Path, site: str, leg: int) -> float:
    """The seconds of a visit inside the hospital, by its own audit log."""
    log = place / "kits" / site / "roundelay" / "audit.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    own = [r for r in rows if r["asked"] == "train" and r["leg"] == leg]
    return float(own[-1]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", default="resnext50_32x4d")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        started = make_network(given.data, place, given.threads)
        try:
            results = []
            for arm, rounds in (("swt", 1), ("cwt", given.rounds)):
                text = STUDY.format(
                    arm=arm, encoder=given.encoder, rounds=rounds, epochs=2, threads=given.threads
                )
                results.append(submit(place, arm, text))
                show(results[-1])
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(30)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"encoder": given.encoder, "runs": results}, indent=1) + "\n")


def show(result: dict[str, object]) -> None:
    print(f"\n{result['arm']}: {result['seconds']} s, Dice {result['dice_mean']:.3f}")
    rows = result["hops"]
    assert isinstance(rows, list)
    keys = ["hop_s", "training_s", "opening_and_sealing_s", "transfer_and_flare_s"]
    print(f"{'site':<8}" + "".join(f"{key:>24}" for key in keys))
    for row in rows:
        print(f"{row['site']:<8}" + "".join(f"{row[key]:>24.2f}" for key in keys))
    medians = [statistics.median(row[key] for row in rows) for key in keys]
    print(f"{'median':<8}" + "".join(f"{value:>24.2f}" for value in medians))


if __name__ == "__main__":
    main()

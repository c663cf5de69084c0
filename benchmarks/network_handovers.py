"""What a hand-over between hospitals costs: transfer and FLARE, opening and sealing, training.

Server, coordinator and a site for each institution as real processes over mutual TLS on loopback,
each site with its own patients' folders only. The paper's SWT budget (80 slices), then CWT of two
rounds. Writes results/network_handovers.json.

    python benchmarks/network_handovers.py ../shared/data/lgg [--encoder ENCODER] [--rounds 2]
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from parties import Network, folders_by_site, legs_done, start_network
from roundelay.relay.ledger import read_ledger

RESULTS = Path(__file__).parent / "results" / "network_handovers.json"
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


def submit(net: Network, arm: str, text: str) -> dict[str, object]:
    """Run a study over the network; the seconds of each hand-over and what they are made of."""
    study, out = net.place / f"{arm}.toml", net.place / f"RUN-{arm}"
    study.write_text(text)
    begin = time.time()
    coordinator = net.submit(study, out)
    seen, times = 0, list[float]()
    while coordinator.process.poll() is None:
        net.approve_waiting()
        count = legs_done(out, f"{arm}-0") + (out / "arms" / f"{arm}-0" / "ledger.jsonl").exists()
        times += [time.time()] * (count - seen)
        seen = count
        time.sleep(0.05)
    if coordinator.process.returncode:
        raise SystemExit(coordinator.log.read_text()[-2000:])
    total = time.time() - begin
    lines = read_ledger(out / "arms" / f"{arm}-0" / "ledger.jsonl")[1:]
    trained = [receipt for line in lines for receipt in line["receipts"]]
    insides = [inside_site(net, receipt["site"], i) for i, receipt in enumerate(trained)]
    handovers = [b - a for a, b in itertools.pairwise(times)]
    rows = [
        {
            "site": receipt["site"],
            "handover_s": round(handover, 2),
            "training_s": receipt["seconds"],
            "opening_and_sealing_s": round(inside - receipt["seconds"], 2),
            "transfer_and_flare_s": round(handover - inside, 2),
        }
        for receipt, inside, handover in zip(trained, insides, handovers, strict=True)
    ]
    summary = json.loads((out / "summary.json").read_text())
    dice = summary["arms"][0]["test"]["dice_mean"]
    return {"arm": arm, "seconds": round(total, 1), "dice_mean": dice, "handovers": rows}


def inside_site(net: Network, site: str, leg: int) -> float:
    """The seconds of a visit inside the hospital, by its own audit log."""
    own = [row for row in net.audit(site) if row["asked"] == "train" and row["leg"] == leg]
    return float(own[-1]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", default="resnext50_32x4d")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    root = given.data / "kaggle_3m" if (given.data / "kaggle_3m").is_dir() else given.data
    with tempfile.TemporaryDirectory() as folder:
        net = start_network(Path(folder), folders_by_site(root), threads=given.threads)
        try:
            results = []
            for arm, rounds in (("swt", 1), ("cwt", given.rounds)):
                text = STUDY.format(
                    arm=arm, encoder=given.encoder, rounds=rounds, epochs=2, threads=given.threads
                )
                results.append(submit(net, arm, text))
                show(results[-1])
        finally:
            net.end()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"encoder": given.encoder, "runs": results}, indent=1) + "\n")


def show(result: dict[str, object]) -> None:
    print(f"\n{result['arm']}: {result['seconds']} s, Dice {result['dice_mean']:.3f}")
    rows = result["handovers"]
    assert isinstance(rows, list)
    keys = ["handover_s", "training_s", "opening_and_sealing_s", "transfer_and_flare_s"]
    print(f"{'site':<8}" + "".join(f"{key:>24}" for key in keys))
    for row in rows:
        print(f"{row['site']:<8}" + "".join(f"{row[key]:>24.2f}" for key in keys))
    medians = [statistics.median(row[key] for row in rows) for key in keys]
    print(f"{'median':<8}" + "".join(f"{value:>24.2f}" for value in medians))


if __name__ == "__main__":
    main()

"""What a hand-over between hospitals costs: its parts in seconds, and memory in batons.

Server, coordinator and a site for each institution as real processes over mutual TLS on loopback,
each site with its own patients' folders only. The paper's SWT budget (80 slices), then CWT of two
rounds. Writes results/network_handovers.json.

    python benchmarks/network_handovers.py ../shared/data/lgg [--encoder ENCODER] [--rounds 2]
"""

import argparse
import itertools
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

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

CARRIED = re.compile(
    r"^\S+ \w{12} (\d+) bytes in ([\d.]+) s, answered in ([\d.]+) s, (\d+) bytes out in ([\d.]+) s$"
)
"""What a site's log says of each answer."""

PARTS = ("handover_s", "training_s", "to_site_s", "at_site_s", "to_server_s", "coordinator_s")
"""Of a hand-over: training; the baton's transfer to the site, unless it fetched it ahead; opening,
checking, sealing, keeping; the transfer to the server; all else: the coordinator fetches, verifies
and writes, and waits for what it asks."""

LOOK = 0.1
"""Seconds between two looks at memory."""


class Memory:
    """The most memory that each party's processes held at once, without files mapped or shared."""

    def __init__(self, net: Network) -> None:
        self.most: dict[str, int] = {}
        self._net, self._ended = net, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK):
            for name, party in list(self._net.parties.items()):
                kind = "coordinator" if name.startswith("submit") else name
                self.most[kind] = max(self.most.get(kind, 0), own_bytes(party.process.pid))


def own_bytes(number: int) -> int:
    """What a process and all that it started hold for themselves."""
    try:
        root = psutil.Process(number)
        found = [one.memory_info() for one in (root, *root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0
    return sum(one.rss - one.shared for one in found)


def submit(net: Network, arm: str, text: str) -> dict[str, object]:
    """Run a study over the network; the seconds of each hand-over and what they are made of."""
    study, out = net.place / f"{arm}.toml", net.place / f"RUN-{arm}"
    study.write_text(text)
    begin, memory = time.time(), Memory(net)
    coordinator = net.submit(study, out)
    seen, times = 0, list[float]()
    with memory:
        while coordinator.process.poll() is None:
            net.approve_waiting()
            count = legs_done(out, f"{arm}-0") + ledger_of(out, arm).exists()
            times += [time.time()] * (count - seen)
            seen = count
            time.sleep(0.05)
    if coordinator.process.returncode:
        raise SystemExit(coordinator.log.read_text()[-2000:])
    total = time.time() - begin
    trained = [r for line in read_ledger(ledger_of(out, arm))[1:] for r in line["receipts"]]
    handovers = [b - a for a, b in itertools.pairwise(times)]
    carried = {site: visits_in_log(net, site) for site in {r["site"] for r in trained}}
    rows = []
    for receipt, handover in zip(trained, handovers, strict=True):
        came, worked, left = carried[receipt["site"]].pop(0)
        rest = handover - came - worked - left
        values = (handover, receipt["seconds"], came, worked - receipt["seconds"], left, rest)
        row = {key: round(value, 2) for key, value in zip(PARTS, values, strict=True)}
        rows.append({"site": receipt["site"], **row})
    summary = json.loads((out / "summary.json").read_text())
    baton = max(receipt["returned_bytes"] for receipt in trained)
    return {
        "arm": arm, "seconds": round(total, 1), "baton_bytes": baton,
        "dice_mean": summary["arms"][0]["test"]["dice_mean"], "handovers": rows,
        "memory_mb": {name: round(most / 1e6) for name, most in memory.most.items()},
    }  # fmt: skip


def ledger_of(out: Path, arm: str) -> Path:
    return out / "arms" / f"{arm}-0" / "ledger.jsonl"


def visits_in_log(net: Network, site: str) -> list[tuple[float, float, float]]:
    """The seconds that each visit took to come, to be made and to leave, by the site's own log,
    newest arm only: those in which a baton left."""
    log = (net.home(site) / "log.txt").read_text(errors="replace").splitlines()
    found = [match.groups() for line in log if (match := CARRIED.match(line))]
    visits = [(float(c), float(w), float(b)) for _, c, w, left, b in found if int(left)]
    own = [row for row in net.audit(site) if row["asked"] == "train"]
    arm = own[-1]["arm"]
    return visits[-sum(row["arm"] == arm for row in own) :]


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
            idle = {name: own_bytes(party.process.pid) for name, party in net.parties.items()}
            print("idle:", *(f"{name} {size / 1e6:.0f} MB" for name, size in idle.items()))
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
    rows, memory, baton = result["handovers"], result["memory_mb"], result["baton_bytes"]
    assert isinstance(rows, list) and isinstance(memory, dict) and isinstance(baton, int)
    print(f"{'site':<8}" + "".join(f"{key:>15}" for key in (*PARTS, "beyond_s")))
    table = [[*(row[key] for key in PARTS), row["handover_s"] - row["training_s"]] for row in rows]
    for row, values in zip(rows, table, strict=True):
        print(f"{row['site']:<8}" + "".join(f"{value:>15.2f}" for value in values))
    medians = [statistics.median(column) for column in zip(*table, strict=True)]
    print(f"{'median':<8}" + "".join(f"{value:>15.2f}" for value in medians))
    print(f"most memory, in MB and in batons of {baton / 1e6:.0f} MB:")
    for name, most in memory.items():
        print(f"  {name:<12}{most:>7}{most * 1e6 / baton:>7.1f}")


if __name__ == "__main__":
    main()

"""Kill everything, everywhere, and compare the bytes: faults between hospitals, counted.

Server, coordinator and three sites as real processes over mutual TLS on loopback, synthetic
patients, cyclic weight transfer in deterministic mode. Each fault is put into a run of its own, as
often as the row says; its hand-overs must be those of the same study on one machine. Writes
results/network_faults.json.

    python benchmarks/network_faults.py [--rounds 2] [--steps 100] [--only FAULT ...]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from parties import (
    Network,
    Party,
    batons,
    folders_by_site,
    legs_done,
    roundelay,
    start_network,
    until,
)
from roundelay.phantom.cohort import make_toy

RESULTS = Path(__file__).parent / "results" / "network_faults.json"
SITES, ARM = ("EAST", "NORTH", "WEST"), "cwt-0"
INTO_VISIT, AWAY, PATIENCE = 2.0, 25.0, 600.0
"""Seconds: into a visit before something is killed, that a site is away, that anything is waited
for."""
STUDY = """
name = "faults"
arms = ["cwt"]
[data]
root = "data"
size = 32
split = {{ validation = 0.0, test = 0.34 }}
[model]
encoder = "resnet18"
[recipe]
rounds = {rounds}
steps = {steps}
batch = 2
deterministic = true
[evaluation]
samples = false
[courier]
threads = 1
"""


@dataclass
class Trial:
    """One run under one kind of fault."""

    net: Network
    study: Path
    out: Path
    visits: int
    coordinator: Party = field(init=False)
    faults: int = 0

    def begin(self) -> None:
        """Every hospital's operator approves this run."""
        self.coordinator = self.net.submit(self.study, self.out)
        pending = [self.net.home(site) / "pending" for site in SITES]
        until(lambda: all(any(folder.glob("*.json")) for folder in pending), PATIENCE)
        self.net.approve_waiting()

    def site(self, visit: int) -> str:
        return SITES[visit % len(SITES)]

    def until_in_visit(self, visit: int) -> None:
        """Until the site of this visit has been at work for a while."""
        site = self.site(visit)
        until(lambda: legs_done(self.out, ARM) >= visit and self.net.at_work(site), PATIENCE)
        time.sleep(INTO_VISIT)

    def until_handed_over(self, visit: int) -> None:
        """Until the ledger has this visit."""
        until(lambda: legs_done(self.out, ARM) > visit, PATIENCE)

    def until_planned(self) -> None:
        """Until all sites were surveyed and the run folder stands."""
        until(lambda: (self.out / "run.json").exists(), PATIENCE)

    def strike(self, name: str, *, away: float = 0.0) -> None:
        """kill -9, and start again after a while."""
        self.net.parties[name].kill()
        time.sleep(away)
        self.net.parties[name].start()
        self.faults += 1

    def strike_coordinator(self) -> None:
        self.coordinator.kill()
        self.coordinator = self.net.submit(self.study, self.out, resume=True)
        self.faults += 1

    def end(self) -> int:
        return int(self.coordinator.process.wait(PATIENCE))


def undisturbed(trial: Trial) -> None:
    """Nothing is done to it."""


def site_in_training(trial: Trial) -> None:
    for visit in range(trial.visits):
        trial.until_in_visit(visit)
        trial.strike(trial.site(visit))


def idle_site(trial: Trial) -> None:
    """The hospital whose turn comes next is killed while another one trains."""
    for visit in range(trial.visits - 1):
        trial.until_in_visit(visit)
        trial.strike(trial.site(visit + 1))


def server_in_a_visit(trial: Trial) -> None:
    for visit in range(0, trial.visits, 2):
        trial.until_in_visit(visit)
        trial.strike("server")


def server_between_visits(trial: Trial) -> None:
    for visit in range(0, trial.visits, 2):
        trial.until_handed_over(visit)
        trial.strike("server")


def coordinator_between_visits(trial: Trial) -> None:
    for visit in range(trial.visits):
        trial.until_handed_over(visit)
        trial.strike_coordinator()


def coordinator_in_a_visit(trial: Trial) -> None:
    for visit in range(trial.visits):
        trial.until_in_visit(visit)
        trial.strike_coordinator()


def site_absent_and_back(trial: Trial) -> None:
    """The hospital whose turn comes next is away for a while."""
    for visit in range(0, trial.visits - 1, 2):
        trial.until_in_visit(visit)
        trial.strike(trial.site(visit + 1), away=AWAY)


def full_disk_at_the_coordinator(trial: Trial) -> None:
    """Its folder is a disk of its own on which other things stand; then they are removed."""
    trial.until_planned()
    other = trial.out / "other.bin"
    with other.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            pass
    code = trial.coordinator.process.wait(PATIENCE)
    assert code == 3, f"a full disk ended in {code}"  # a run was going: --resume goes on
    trial.faults += 1
    other.unlink()
    trial.coordinator = trial.net.submit(trial.study, trial.out, resume=True)


FAULTS: dict[str, Callable[[Trial], None]] = {
    one.__name__: one
    for one in (
        undisturbed, site_in_training, idle_site, server_in_a_visit, server_between_visits,
        coordinator_between_visits, coordinator_in_a_visit, site_absent_and_back,
        full_disk_at_the_coordinator,
    )
}  # fmt: skip


def try_one(
    name: str, net: Network, study: Path, visits: int, expected: list[str]
) -> dict[str, object]:
    """A run under one fault; what came of it."""
    out = net.place / f"RUN-{name}"
    own_disk = name.startswith("full_disk")
    if own_disk:
        out.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", out], check=True)
    try:
        begin = time.monotonic()
        trial = Trial(net, study, out, visits)
        trial.begin()
        FAULTS[name](trial)
        code = trial.end()
        seconds = time.monotonic() - begin
        same = code == 0 and batons(out, ARM) == expected
        if code:
            print(trial.coordinator.log.read_text()[-1500:], file=sys.stderr)
    finally:
        if own_disk:
            subprocess.run(["umount", "-l", out], check=True)
    return {
        "fault": name.replace("_", " "), "times": trial.faults, "exit": code,
        "same_bytes": same, "seconds": round(seconds, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--only", nargs="*", choices=FAULTS, default=list(FAULTS))
    given = parser.parse_args()
    names = [n for n in given.only if os.geteuid() == 0 or not n.startswith("full_disk")]
    for left_out in set(given.only) - set(names):
        print(f"{left_out}: left out, since only root may mount a small disk")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        toy = make_toy(place / "data", seed=0, patients=dict.fromkeys(SITES, 3), slices=4, size=64)
        study = place / "study.toml"
        study.write_text(STUDY.format(rounds=given.rounds, steps=given.steps))
        roundelay("run", study, "--out", place / "HERE")
        expected = batons(place / "HERE", ARM)
        net = start_network(place, folders_by_site(toy))
        rows = []
        try:
            print(f"{'fault':<32}{'times':>6}{'exit':>6}{'same bytes':>12}{'seconds':>9}")
            for name in names:
                rows.append(row := try_one(name, net, study, len(expected), expected))
                same = "yes" if row["same_bytes"] else "NO"
                told = f"{row['fault']:<32}{row['times']:>6}{row['exit']:>6}"
                print(f"{told}{same:>12}{row['seconds']:>9}", flush=True)
        finally:
            net.end()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"visits": len(expected), "faults": rows}, indent=1) + "\n")
    if not all(row["same_bytes"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

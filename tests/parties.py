"""A network on loopback: server, hospitals and coordinator as real processes, killed at will."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.errors import LockHeldError
from roundelay.files.locks import take_lock
from roundelay.network.hospital.store import LOCK
from roundelay.network.wire.keys import fingerprint, own_keys
from roundelay.network.wire.proposal import proposal_from_json
from roundelay.relay.ledger import read_ledger


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "roundelay", *map(str, words)]


def roundelay(*words: object, ok: int = 0) -> str:
    """Run one command to its end; its standard output."""
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=240)
    assert done.returncode == ok, done.stderr[-2000:]
    return done.stdout


def until(what: Callable[[], Any], seconds: float = 150.0) -> Any:
    """Wait for something to be true; never without an end."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


class Party:
    """One process of the network, with its log; killed at once or ended in order."""

    def __init__(self, place: Path, name: str, *words: object) -> None:
        self.log, self.words = place / f"{name}.out", words
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command(*self.words), stdout=out, stderr=out, start_new_session=True
            )

    def kill(self) -> None:
        """kill -9, of everything that it started too: the machine lost its power."""
        import psutil

        tree = [self.process.pid]
        with contextlib.suppress(psutil.NoSuchProcess):
            tree += [c.pid for c in psutil.Process(self.process.pid).children(recursive=True)]
        for number in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@dataclass(frozen=True, slots=True)
class Network:
    """Kits, the server's port, and a process for the server and each site."""

    place: Path
    kits: Path
    port: int
    parties: dict[str, Party]

    def submit(self, study: Path, out: Path, *, resume: bool = False) -> Party:
        """A coordinator at work."""
        words = ["submit", study, "--kit", self.kits / "coordinator", "--out", out]
        number = sum(name.startswith("submit") for name in self.parties)
        party = Party(self.place, f"submit-{number}", *words, *(["--resume"] if resume else []))
        self.parties[f"submit-{number}"] = party
        return party

    def home(self, name: str) -> Path:
        return self.kits / name / "roundelay"

    def audit(self, site: str) -> list[dict[str, Any]]:
        path = self.home(site) / "audit.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def at_work(self, site: str) -> bool:
        """Whether a site is answering a request: it holds its lock meanwhile."""
        try:
            with take_lock(self.home(site) / LOCK, wait=False):
                return False
        except LockHeldError:
            return True

    def approve_waiting(self) -> None:
        """What every hospital's operator does when a study waits."""
        for waiting in self.kits.glob("*/roundelay/pending/*.json"):
            value = json.loads(waiting.read_text())
            del value["run"]
            digest = proposal_from_json(value).study.digest
            roundelay("site", "approve", digest, "--kit", waiting.parents[2], "--yes")

    def end(self) -> None:
        for party in self.parties.values():
            party.end()


def start_network(
    place: Path, patients: Mapping[str, Sequence[Path]], *, threads: int = 1, policy: str = ""
) -> Network:
    """Provision and start; each site gets copies of its own patients' folders and no others.

    Every site lets the scores of few patients go. All but the first have `policy` too, where there
    is one; ``$OWNER`` in it stands for the coordinator's fingerprint.
    """
    for site, folders in patients.items():
        for folder in folders:
            shutil.copytree(folder, place / site / folder.name)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    plan, kits = place / "NETWORK.toml", place / "kits"
    plan.write_text(
        f'name = "loopback"\nsites = {json.dumps(sorted(patients))}\ndays = 30\n'
        f'[server]\nhost = "localhost"\nport = {port}\n'
    )
    roundelay("network", "create", plan, "--out", kits)
    parties = {"server": Party(place, "server", "server", "start", kits / "server")}
    owner = fingerprint(own_keys(kits / "coordinator" / "roundelay").public())
    few = "[release]\nleast_scored = 1\n"
    (place / "first.toml").write_text(few)
    (place / "policy.toml").write_text(policy.replace("$OWNER", owner) + few)
    for site in patients:
        words = ["site", "start", kits / site, "--data", place / site]
        if site == next(iter(patients)):
            words += ["--format", "lgg", "--policy", place / "first.toml"]
        else:
            words += ["--policy", place / "policy.toml"]
        parties[site] = Party(place, site, *words, "--threads", threads)
    until(lambda: all((kits / site / "roundelay").exists() for site in patients))
    return Network(place, kits, port, parties)


def folders_by_site(root: Path) -> dict[str, list[Path]]:
    """Patients' folders by the institution in their names."""
    found: dict[str, list[Path]] = {}
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        found.setdefault(folder.name.split("_")[1], []).append(folder)
    return found


def legs_done(run: Path, arm: str) -> int:
    path = run / "arms" / arm / "ledger.jsonl"
    return len(read_ledger(path)) - 1 if path.exists() else 0


def batons(run: Path, arm: str) -> list[str]:
    """The digests of all hand-overs."""
    return [line["baton"] for line in read_ledger(run / "arms" / arm / "ledger.jsonl")[1:]]

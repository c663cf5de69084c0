"""What a site keeps in its kit, under ``roundelay/``: settings, visits, answers, the audit log.

Nothing here is needed elsewhere, and but for the probe's result in the system's cache nothing lies
elsewhere: removing the kit removes it all.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundelay.errors import NetworkError
from roundelay.files.locks import take_lock
from roundelay.files.writing import write_bytes, write_json
from roundelay.network.hospital.policy import Policy, read_policy

SETTINGS, POLICY, AUDIT, LOCK = "site.json", "policy.toml", "audit.jsonl", ".lock"

KEPT = 2
"""Answers kept for each arm: the last one may be asked for again, and the one before it by a run
that was restored from the day before."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Set by ``roundelay site start``."""

    name: str
    root: str
    format: str


def read_settings(home: Path) -> Settings:
    """Raises NetworkError where the site was never started."""
    try:
        return Settings(**json.loads((home / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise NetworkError(
            "This site was not started by  roundelay site start KIT --data FOLDER."
        ) from error


def write_settings(home: Path, settings: Settings) -> None:
    write_json(
        home / SETTINGS,
        {"name": settings.name, "root": settings.root, "format": settings.format},
    )


def policy_of(home: Path) -> Policy:
    """The hospital's policy; without a file the one in which every study is asked for."""
    path = home / POLICY
    return read_policy(path) if path.exists() else Policy()


@contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """A site answers one message after the other: a second delivery waits for the first's answer.

    A process that is killed lets go by itself. Raises LockHeldError where the file system keeps its
    lock nevertheless.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with take_lock(home / LOCK, wait=True):
        yield


def audit(home: Path, **facts: Any) -> None:
    """Add a line to the audit log: when, and what came or left."""
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts})
    with (home / AUDIT).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class ArmStore:
    """What a site remembers of its visits in one arm of one run."""

    folder: Path

    def pinned(self) -> str | None:
        """The digest of the itinerary that this arm was begun with."""
        return self._read().get("legs")

    def visited(self) -> dict[int, str]:
        """By leg: what was asked there."""
        return {int(leg): key for leg, key in self._read().get("visits", {}).items()}

    def answer(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """What was answered, or None where it is no longer kept."""
        head = self.folder / "answers" / f"{key}.json"
        if not head.exists():
            return None
        body = self.folder / "answers" / f"{key}.bin"
        return json.loads(head.read_text(encoding="utf-8")), body.read_bytes()

    def keep(
        self, legs: str, leg: int, key: str, head: Mapping[str, Any], body: bytes, plain: bytes
    ) -> None:
        """Keep an answer, then say that the visit was made: a kill in between loses the visit.

        `plain` is the model as it left, for the acceptance check.
        """
        write_bytes(self.folder / "answers" / f"{key}.bin", body)
        write_bytes(self.folder / "last.safetensors", plain)
        write_json(self.folder / "answers" / f"{key}.json", head)
        visits = {**self.visited(), leg: key}
        write_json(self.folder / "visits.json", {"legs": legs, "visits": visits})
        self._end_others()
        newest = {visits[leg] for leg in sorted(visits)[-KEPT:]}
        for old in (self.folder / "answers").iterdir():
            if old.stem not in newest:
                old.unlink()

    def _end_others(self) -> None:
        """Arms come one after the other: with the first visit of this one the others are done."""
        for other in self.folder.parent.iterdir():
            if other != self.folder and other.is_dir():
                shutil.rmtree(other / "answers", ignore_errors=True)
                (other / "last.safetensors").unlink(missing_ok=True)

    def last(self) -> bytes | None:
        """The plain baton that this site handed over last in this arm."""
        path = self.folder / "last.safetensors"
        return path.read_bytes() if path.exists() else None

    def _read(self) -> dict[str, Any]:
        path = self.folder / "visits.json"
        found: dict[str, Any] = {}
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
        return found


def arm_store(home: Path, run: str, arm: str) -> ArmStore:
    """The store of one arm of one run.

    Both names are the owner's, so refused unless they can be a folder's.
    """
    return ArmStore(home / "runs" / _checked_name(run) / _checked_name(arm))


def _checked_name(name: str) -> str:
    if not name or not all(c.isalnum() or c in "-_" for c in name) or len(name) > 128:
        raise NetworkError("A run or an arm has a name that can't be a folder's.")
    return name

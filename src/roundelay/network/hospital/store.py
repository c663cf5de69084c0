"""What a site keeps in its kit, under ``roundelay/``: settings, runs, the audit log.

Nothing here is needed elsewhere, and but for the probe's result in the system's cache nothing lies
elsewhere: removing the kit removes it all.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from roundelay.data.survey import SiteSurvey, cohort_digest
from roundelay.errors import NetworkError, RefusedError
from roundelay.files.locks import take_lock
from roundelay.files.regular import refuse_special
from roundelay.files.writing import write_json
from roundelay.network.hospital.policy import Policy, read_policy
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.parsing import Digest
from roundelay.study.data_section import SiteImages

SETTINGS, POLICY, AUDIT = "site.json", "policy.toml", "audit.jsonl"

LOCK, PIN_LOCK = ".lock", ".pin.lock"

RUNS = "runs"

AS_STUDIED = SiteImages()
"""Nothing otherwise than a study says."""


Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$")]


@dataclass(frozen=True, slots=True)
class Settings:
    """Set by ``roundelay site start``; `images` are what the site's file says of them, `device` is
    where its visits compute."""

    name: str
    root: str
    format: str
    images: SiteImages = AS_STUDIED
    device: Device = "auto"


SETTINGS_SHAPE = TypeAdapter(Settings)

PINNED = TypeAdapter(dict[Literal["proposal", "cohort"], str])

START = TypeAdapter(Digest)

RESTORE = (
    "its operator can put it back from a copy, or remove the folder of the run under"
    " roundelay/runs, with which the run can't go on"
)


def read_settings(home: Path) -> Settings:
    """Raises NetworkError where the site was never started, or its settings are damaged."""
    start = "roundelay site start KIT --data FOLDER"
    if not (home / SETTINGS).exists():
        raise NetworkError(f"This site was not started by  {start}.")
    return read_kept(home / SETTINGS, SETTINGS_SHAPE, NetworkError, f"start the site by  {start}")


def write_settings(home: Path, settings: Settings) -> None:
    write_json(
        home / SETTINGS,
        {
            "name": settings.name,
            "root": settings.root,
            "format": settings.format,
            "images": settings.images.model_dump(mode="json"),
            "device": settings.device,
        },
    )


def policy_of(home: Path) -> Policy:
    """The hospital's policy; without a file the one in which every study is asked for."""
    path = home / POLICY
    # A link that leads nowhere is no hospital without a policy: reading it says so.
    return read_policy(path) if path.exists() or path.is_symlink() else Policy()


@contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """A site makes one visit, or scores one model, after the other: a second delivery waits for the
    first's answer. What needs neither is answered meanwhile.

    A process that is killed lets go by itself. Raises LockHeldError where the file system keeps its
    lock nevertheless.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with take_lock(home / LOCK, wait=True):
        yield


def audit(home: Path, **facts: Any) -> None:
    """Add a line to the audit log: when, and what came or left."""
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts})
    path = home / AUDIT
    if path.exists():
        refuse_special(path)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def pin_run(home: Path, run: str, proposal: str, surveys: Mapping[str, SiteSurvey]) -> None:
    """Note the study and the numbers of all sites at the first request that brings them; from then
    on raise RefusedError for others: the itinerary of a run stays."""
    path = home / RUNS / run / "pinned.json"
    now = {"proposal": proposal, "cohort": cohort_digest(surveys)}
    with take_lock(home / PIN_LOCK, wait=True):  # of two that come at once, one is the first
        if not path.exists():
            write_json(path, now)
            return
    then = read_kept(path, PINNED, RefusedError, RESTORE)
    if then.get("proposal") != now["proposal"]:
        raise RefusedError("Another study than this one began under the name of this run.")
    if then.get("cohort") != now["cohort"]:
        raise RefusedError(
            "The numbers of the hospitals are others than at the first visit of this run."
        )


def pin_start(home: Path, run: str, seed: int, digest: str) -> bool:
    """Note the start of a seed at the first request that brings one; whether it is the same from
    then on."""
    path = home / RUNS / run / f"start-{seed}.json"
    if not path.exists():
        write_json(path, digest)
    return bool(read_kept(path, START, RefusedError, RESTORE) == digest)

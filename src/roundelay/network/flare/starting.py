"""Start a server's or a site's kit, and end it with everything that it started."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from string import Template

import psutil

from roundelay.data.formats.known import known_format
from roundelay.data.image_settings import ANY
from roundelay.data.left_out import LeftOut
from roundelay.errors import NetworkError
from roundelay.files.toml_file import read_toml_file
from roundelay.files.writing import write_bytes, write_text
from roundelay.network.flare.extra import need_flare
from roundelay.network.flare.whole_kit import RESOURCES, TEMPLATE, read_template, refuse_damaged
from roundelay.network.hospital.device import checked_device
from roundelay.network.hospital.policy import read_policy
from roundelay.network.hospital.store import POLICY, Settings, audit, policy_of, write_settings
from roundelay.network.hospital.workers import ARENAS
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.kit import HOME, kit_role, site_name
from roundelay.network.wire.parsing import shown
from roundelay.study.data_section import SiteImages

LOG = "log.txt"

TAIL = 1 << 16
"""Bytes of a log that are looked at for its last lines."""

PATIENCE = 5.0
"""Seconds between a request to end and the end by force."""

MAINS = {
    "server": ("nvflare.private.fed.app.server.server_train", "fed_server.json"),
    "site": ("nvflare.private.fed.app.client.client_train", "fed_client.json"),
}

ENDING = """The FLARE process ended by itself (code {code}). The last lines of {log}:
{tail}"""


def prepare_site(
    kit: Path,
    data: Path,
    format_: str,
    images: Path | None,
    policy: Path | None,
    device: str = "auto",
) -> tuple[str, tuple[LeftOut, ...]]:
    """Check the hospital's patients and policy, and note them in the kit; return the site's name,
    and what was left out of the folder of patients.

    Raises NetworkError, DataError or UserError before anything is written.
    """
    checked_device(device)
    refuse_unready(kit, "site")
    own = SiteImages()
    if images is not None:
        own = read_toml_file(SiteImages, images, NetworkError)
    found_there = known_format(format_, NetworkError).find_patients(data.resolve(), ANY)
    home = kit / HOME
    if policy is not None:
        read_policy(policy)
    else:
        policy_of(home)  # the one that is kept there must be readable too
    own_keys(home)
    if policy is not None:
        write_bytes(home / POLICY, policy.read_bytes())
    name = site_name(kit)
    write_settings(home, Settings(name, str(data.resolve()), format_, own, device))
    audit(home, asked="start", patients=len(found_there.patients), policy=policy is not None)
    return name, found_there.left_out


def refuse_unready(kit: Path, role: str) -> None:
    """Raise NetworkError where the kit is none, or another one, or damaged; MissingExtraError where
    nothing here can run it."""
    if (found := kit_role(kit)) != role:
        raise NetworkError(f"{kit} is the kit of a {found}, not of a {role}.")
    need_flare()
    refuse_damaged(kit, role)


def start_kit(kit: Path, role: str, *, threads: int | None = None) -> int:
    """Run a kit in the foreground until it is stopped by a signal; 0 then.

    Raises as `refuse_unready`, and NetworkError where the process ended by itself.
    """
    refuse_unready(kit, role)
    kit = kit.resolve()
    module, config = MAINS[role]
    settings = ["secure_train=true", "config_folder=config", "org=relay"]
    if role == "site":
        settings = [
            "secure_train=true",
            "config_folder=config",
            "org=site",
            f"uid={site_name(kit)}",
        ]
    else:
        _place_stores(kit)
    log = kit / HOME / LOG
    log.parent.mkdir(mode=0o700, exist_ok=True)
    environment = dict(os.environ)
    # Threads come and go with messages: each would keep what it freed in an arena of its own.
    environment.setdefault(ARENAS, "2")
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", module, "-m", str(kit), "-s", config, "--set", *settings],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=kit, env=environment,
            start_new_session=True, preexec_fn=_end_with_parent,
        )  # fmt: skip
        return _attend(process, log)


def _place_stores(kit: Path) -> None:
    """Fill in where the server's stores lie: under the kit, wherever it was moved to."""
    path = kit / "local" / RESOURCES
    home = kit / HOME
    made = path.read_text(encoding="utf-8")
    if "$JOBS" in made:
        write_text(kit / "local" / TEMPLATE, made)
    template = Template(read_template(kit))
    values = {"JOBS": str(home / "jobs"), "SNAPSHOTS": str(home / "snapshots")}
    write_text(path, template.safe_substitute(values))


def _attend(process: subprocess.Popen[bytes], log: Path) -> int:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.wait(0.2):
        if (code := process.poll()) is not None:
            end_tree(process.pid)
            raise NetworkError(ENDING.format(code=code, log=log, tail=last_lines(log)))
    end_tree(process.pid)
    return 0


def last_lines(log: Path) -> str:
    """The end of a log, whatever others had written into it, as it may be shown."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        text = file.read().decode(errors="replace")
    return "\n".join(map(shown, text.splitlines()[-8:]))


def end_tree(number: int) -> None:
    """End a process and all that it started: asked first, then ended."""
    try:
        root = psutil.Process(number)
        tree = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for kill in ("terminate", "kill"):
        for process in tree:
            try:
                getattr(process, kill)()
            except psutil.NoSuchProcess:
                continue
        _, tree = psutil.wait_procs(tree, timeout=PATIENCE)


def _end_with_parent() -> None:
    """Linux: a kit's process does not outlive the command that a unit or a person sees."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)

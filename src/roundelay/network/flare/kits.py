"""Kits: the folders that server, coordinator and hospitals start from.

NVIDIA FLARE provisions certificates and start-up files; what it leaves open by default is closed
here (`_harden`), and what a hospital's IT needs is put beside it.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib import resources
from io import StringIO
from pathlib import Path
from string import Template
from typing import Any

from roundelay.errors import NetworkError
from roundelay.files.writing import write_json
from roundelay.network.flare.extra import need_flare
from roundelay.network.wire.kit import AUTHORITY, HOME, SERVER, SITES
from roundelay.network.wire.network_file import NetworkPlan
from roundelay.records.signatures import COORDINATOR

PARTS = {
    SERVER: "roundelay.network.flare.parts.ServerPart",
    "site": "roundelay.network.flare.parts.SitePart",
}
"""What of ours runs in FLARE's processes, and the one class each that may be named there."""

RIGHTS = (
    "submit_job", "clone_job", "manage_job", "download_job", "view", "operate", "shell_commands",
    "byoc", "app_command", "server-predeployed-flwr",
)  # fmt: skip

PERMISSIONS = {
    "format_version": "1.0",
    "permissions": {"project_admin": dict.fromkeys(RIGHTS, "none")},
}
"""Nobody sends a job, runs code or a shell, or stops anything anywhere."""


def create_kits(plan: NetworkPlan, out: Path) -> dict[str, Path]:
    """Write a kit for the server, the coordinator and every site into `out`; return them by name.

    ``out/authority`` keeps the root key that signed their certificates. Raises NetworkError where
    `out` isn't empty, MissingExtraError without NVIDIA FLARE.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NetworkError(f"The folder {out} isn't empty. Choose another --out.")
    need_flare()
    above = next(p for p in out.absolute().parents if p.exists())
    with tempfile.TemporaryDirectory(dir=above, prefix=".kits-") as place:
        kits = _provision(plan, Path(place))
        for name, kit in kits.items():
            role = name if name in (SERVER, COORDINATOR) else "site"
            _harden(kit, role, _administrator(plan))
            _explain(kit, role, name, plan)
        out.mkdir(parents=True, exist_ok=True)
        for name, kit in kits.items():
            shutil.move(kit, out / name)
        authority = out / AUTHORITY
        shutil.move(Path(place) / plan.name / "state", authority)
        authority.chmod(0o700)
    return {name: out / name for name in kits}


def _provision(plan: NetworkPlan, place: Path) -> dict[str, Path]:
    from nvflare.lighter.prov_utils import prepare_builders
    from nvflare.lighter.provision import prepare_project
    from nvflare.lighter.provisioner import Provisioner

    admin = _administrator(plan)
    project = {
        "api_version": 3,
        "name": plan.name,
        "description": "A network of Roundelay",
        "participants": [
            {
                "name": plan.server.host, "type": "server", "org": "relay",
                "fed_learn_port": plan.server.port, "admin_port": plan.server.port,
            },
            *({"name": s, "type": "client", "org": "site"} for s in plan.sites),
            {"name": admin, "type": "admin", "org": "relay", "role": "project_admin"},
        ],
        "builders": [
            {
                "path": "nvflare.lighter.impl.workspace.WorkspaceBuilder",
                "args": {"template_file": ["master_template.yml"]},
            },
            {
                "path": "nvflare.lighter.impl.static_file.StaticFileBuilder",
                "args": {"config_folder": "config", "scheme": "tcp"},
            },
            {
                "path": "roundelay.network.flare.certificates.Certificates",
                "args": {"root_valid_days": plan.days},
            },
            {"path": "nvflare.lighter.impl.signature.SignatureBuilder"},
        ],
    }  # fmt: skip
    said = StringIO()
    with redirect_stdout(said):
        context = Provisioner(str(place), prepare_builders(project)).provision(
            prepare_project(project)
        )
    made = place / plan.name / "prod_00"
    if context.get("build_error") or not made.exists():
        raise NetworkError(f"The kits could not be made: {said.getvalue().strip()[-400:]}")
    names = {plan.server.host: SERVER, admin: COORDINATOR} | {s: s for s in plan.sites}
    return {name: made / folder for folder, name in names.items()}


def _administrator(plan: NetworkPlan) -> str:
    """The coordinator's name in its certificate."""
    return f"{COORDINATOR}@{plan.name}.network"


def _harden(kit: Path, role: str, administrator: str) -> None:
    local = kit / "local"
    if role == COORDINATOR:
        return
    (local / "authorization.json").write_text(json.dumps(PERMISSIONS, indent=2) + "\n")
    resources_ = json.loads((local / "resources.json.default").read_text())
    resources_["class_allow_list"] = [PARTS[role]]
    resources_["class_list_enforcement_mode"] = "enforce"
    resources_["allow_log_streaming"] = False
    by_id = {part["id"]: part for part in resources_["components"]}
    for streamer in ("site_log_streamer", "log_receiver"):
        by_id.pop(streamer, None)
    part: dict[str, Any] = {"id": "roundelay", "path": PARTS[role], "args": {}}
    if role == SERVER:
        _keep_inside(resources_, by_id)
        part["args"] = {"coordinator": administrator}
    resources_["components"] = [*by_id.values(), part]
    (local / "resources.json").write_text(json.dumps(resources_, indent=2) + "\n")
    for sample in local.glob("*.sample"):
        sample.unlink()


def _keep_inside(resources_: dict[str, Any], by_id: Mapping[str, dict[str, Any]]) -> None:
    """The server's stores, which FLARE puts into a folder that all users share. The two names are
    filled in when the server starts, since a kit may be moved."""
    resources_["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = "$SNAPSHOTS"
    by_id["job_manager"]["args"]["uri_root"] = "$JOBS"


def _explain(kit: Path, role: str, name: str, plan: NetworkPlan) -> None:
    """README.md, a systemd unit and a Dockerfile: what a hospital's IT reads first."""
    start = {
        SERVER: "roundelay server start /kit",
        COORDINATOR: "",
        "site": "roundelay site start /kit --data /data --format lgg",
    }[role]
    known = {
        "name": name, "network": plan.name, "days": plan.days, "start": start,
        "server": f"{plan.server.host}:{plan.server.port}", "port": plan.server.port,
        "array": json.dumps(start.split()),
    }  # fmt: skip
    texts = resources.files("roundelay") / "network" / "flare" / "texts"
    wanted = {f"{role}.md": "README.md"}
    if role != COORDINATOR:
        wanted |= {"unit.service": f"roundelay-{name}.service", "Dockerfile": "Dockerfile"}
    for source, target in wanted.items():
        text = (texts / source).read_text(encoding="utf-8")
        (kit / target).write_text(Template(text).substitute(known), encoding="utf-8")
    (kit / HOME).mkdir(mode=0o700)
    started = kit / "startup"
    left_over = (kit / "readme.txt", started / "readme.txt", *started.glob("*.ipynb"))
    for old in (*left_over, *started.glob("*.sh")):
        old.unlink(missing_ok=True)
    if role == COORDINATOR:
        write_json(kit / HOME / SITES, {"network": plan.name, "sites": sorted(plan.sites)})
    (kit / "transfer").mkdir(exist_ok=True)
    for key in (kit / "startup").glob("*.key"):
        key.chmod(0o600)

"""The folder that a party starts from: whose it is, and what lies where."""

import json
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from roundelay.errors import NetworkError
from roundelay.records.signatures import COORDINATOR

SERVER = "server"

AUTHORITY = "authority"

SITES = "sites.json"

HOME = "roundelay"
"""A kit's folder for what Roundelay keeps: keys, approvals, answers, the audit log."""


def kit_role(kit: Path) -> str:
    """What a kit is for: server, coordinator or site. Raises NetworkError where it is no kit."""
    for role, file in (
        (SERVER, "fed_server.json"),
        (COORDINATOR, "fed_admin.json"),
        ("site", "fed_client.json"),
    ):
        if (kit / "startup" / file).exists():
            return role
    raise NetworkError(f"{kit} is no kit of a network: make one with  roundelay network create.")


def kit_sites(kit: Path) -> list[str]:
    """The sites of a coordinator's network."""
    found = json.loads((kit / HOME / SITES).read_text(encoding="utf-8"))
    return [str(site) for site in found["sites"]]


def site_name(kit: Path) -> str:
    """The site's name, as its certificate and start-up file have it."""
    config = json.loads((kit / "startup" / "fed_client.json").read_text())
    return str(config["client"]["fqsn"])


def days_left(path: Path) -> int | None:
    """Whole days until a PEM certificate ends; None where there is none to read."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
    return (certificate.not_valid_after_utc - datetime.now(UTC)).days

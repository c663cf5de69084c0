"""The folder that a party starts from: whose it is, and what lies where."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from pydantic import BaseModel, TypeAdapter

from roundelay.errors import NetworkError
from roundelay.files.regular import plain_bytes
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.parsing import Name
from roundelay.records.signatures import COORDINATOR

SERVER = "server"

AUTHORITY = "authority"

SITES = "sites.json"

HOME = "roundelay"
"""A kit's folder for what Roundelay keeps: keys, approvals, answers, the audit log."""


AGAIN = "take the kit again from who made the network"


class KnownSites(BaseModel):
    """What a coordinator's kit says of its network."""

    sites: list[Name]


class Client(BaseModel):
    """A site's name, as its certificate has it."""

    fqsn: Name


class Administrator(BaseModel):
    """Whom the coordinator logs in as, and where the server listens."""

    username: str
    host: str
    port: int


class SiteConfig(BaseModel):
    """What FLARE wrote for a site."""

    client: Client


class CoordinatorConfig(BaseModel):
    """What FLARE wrote for the coordinator."""

    admin: Administrator


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
    return list(read_kept(kit / HOME / SITES, TypeAdapter(KnownSites), NetworkError, AGAIN).sites)


def site_name(kit: Path) -> str:
    """The site's name, as its certificate and start-up file have it."""
    config = kit / "startup" / "fed_client.json"
    return read_kept(config, TypeAdapter(SiteConfig), NetworkError, AGAIN).client.fqsn


def administrator(kit: Path) -> Administrator:
    """Whom the coordinator logs in as."""
    config = kit / "startup" / "fed_admin.json"
    return read_kept(config, TypeAdapter(CoordinatorConfig), NetworkError, AGAIN).admin


def days_left(path: Path) -> int | None:
    """Whole days until a PEM certificate ends; None where there is none to read."""
    try:
        certificate = x509.load_pem_x509_certificate(plain_bytes(path))
    except (OSError, ValueError):
        return None
    return (certificate.not_valid_after_utc - datetime.now(UTC)).days

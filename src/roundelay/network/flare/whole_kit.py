"""Whether a kit is whole: each of its files is looked at before NVIDIA FLARE takes it.

FLARE says of a missing or damaged one in an error of its own, in a log, or not at all: without
``authorization.json`` it goes by its own, which forbids less.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, Field, TypeAdapter

from roundelay.errors import NetworkError
from roundelay.files.regular import plain_bytes
from roundelay.network.flare.kits import PARTS
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.kit import AGAIN, SERVER
from roundelay.records.signatures import COORDINATOR

RESOURCES, TEMPLATE = "resources.json", "resources.template.json"

ROOT = "rootCA.pem"


class _Resources(BaseModel):
    class_allow_list: list[str]


class _Authorization(BaseModel):
    permissions: dict[str, Any]


class _Connection(BaseModel):
    servers: Annotated[list[dict[str, Any]], Field(min_length=1)]


_ANYTHING = TypeAdapter(dict[str, Any])

_OF_A_PARTY: dict[str, TypeAdapter[Any]] = {
    "local/authorization.json": TypeAdapter(_Authorization),
    f"local/{RESOURCES}": TypeAdapter(_Resources),
    "local/log_config.json.default": _ANYTHING,
}

NEEDED: dict[str, dict[str, TypeAdapter[Any]]] = {
    COORDINATOR: {"local/resources.json.default": _ANYTHING},
    SERVER: {"startup/fed_server.json": TypeAdapter(_Connection), **_OF_A_PARTY},
    "site": {"startup/fed_client.json": TypeAdapter(_Connection), **_OF_A_PARTY},
}
"""The JSON files without which FLARE doesn't start as it should, by what a kit is for; a
coordinator's ``fed_admin.json`` is read where it is used."""


def refuse_damaged(kit: Path, role: str) -> None:
    """Raise NetworkError naming the first file of a kit that is missing or damaged, or where the
    kit was made for another version."""
    for name, shape in NEEDED[role].items():
        found = read_kept(kit / name, shape, NetworkError, AGAIN)
        if isinstance(found, _Resources):
            _refuse_other_version(kit, role, found)
    own = "server" if role == SERVER else "client"
    _check_certificate(kit / "startup", f"{own}.crt", f"{own}.key")


def read_template(kit: Path) -> str:
    """The server's resources as they came, with names that its start fills in.

    Raises NetworkError where they are damaged.
    """
    path = kit / "local" / TEMPLATE
    read_kept(path, TypeAdapter(_Resources), NetworkError, AGAIN)
    return path.read_text(encoding="utf-8")


def _refuse_other_version(kit: Path, role: str, found: _Resources) -> None:
    if PARTS[role] not in found.class_allow_list:
        raise NetworkError(
            f"The kit {kit} was made by another version of Roundelay (its local/{RESOURCES} doesn't"
            " allow what this one sends). Who made the network makes the kits anew with  roundelay"
            " network create  and gives them out again, or install the version that made this one."
        )


def _check_certificate(startup: Path, certificate: str, key: str) -> None:
    """A certificate with its key, signed by the network's root."""
    try:
        current = certificate
        own = x509.load_pem_x509_certificate(plain_bytes(startup / certificate))
        current = key
        public = load_pem_private_key(plain_bytes(startup / key), None).public_key()
        if public != own.public_key():
            raise ValueError
        current = ROOT
        own.verify_directly_issued_by(x509.load_pem_x509_certificate(plain_bytes(startup / ROOT)))
    except (OSError, ValueError, TypeError, InvalidSignature) as error:
        raise NetworkError(
            f"startup/{current} in the kit can't be read, is damaged or belongs to another kit:"
            f" {AGAIN}."
        ) from error
    _refuse_expired(startup.parent, certificate, own)


def _refuse_expired(kit: Path, name: str, own: x509.Certificate) -> None:
    """The other side says nothing of it: to both it looks as if nobody answered."""
    now = datetime.now(UTC)
    if now > own.not_valid_after_utc:
        raise NetworkError(
            f"The certificate of the kit {kit} (startup/{name}) ended on"
            f" {own.not_valid_after_utc:%Y-%m-%d}, and nobody in the network takes it any more. Who"
            " made the network makes the kits anew with  roundelay network create  and gives them"
            " out again."
        )
    if now < own.not_valid_before_utc:
        raise NetworkError(
            f"The certificate of the kit {kit} (startup/{name}) holds from"
            f" {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC, and this machine's clock says"
            f" {now:%Y-%m-%d %H:%M} UTC. Set the clock right."
        )

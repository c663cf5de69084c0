"""NETWORK.toml: who takes part in a network, and where its one server listens."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from roundelay.errors import NetworkError
from roundelay.files.toml_file import Section, read_toml_file
from roundelay.study.names import RESERVED

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Server(Section):
    """The one machine that all others call; nobody calls a hospital."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 8002


class NetworkPlan(Section):
    """Server, sites, and how long their certificates hold."""

    name: str
    server: Server
    sites: Annotated[tuple[str, ...], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=3650)] = 365

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in (self.name, *self.sites):
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name here: letters, digits, - and _, 63 at most")
        folded = [name.casefold() for name in self.sites]
        if len(set(folded)) != len(folded) or RESERVED & set(folded):
            raise ValueError(
                f"sites are named once each, in any case, and none of {', '.join(sorted(RESERVED))}"
            )
        if not HOST.fullmatch(self.server.host):
            raise ValueError(f"server.host = {self.server.host!r} is no host name or address")
        return self


def read_network(path: Path) -> NetworkPlan:
    """The plan of a network. Raises NetworkError with every fault of the file at once."""
    return read_toml_file(NetworkPlan, path, NetworkError)

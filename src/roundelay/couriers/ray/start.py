"""Ray on this machine, or a running cluster that is joined."""

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from roundelay.errors import CourierError, MissingExtraError

CONNECT_SECONDS = 10.0

FOR_ONLOOKERS = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Ray's Node that start what shows a cluster to people, lets it grow, and copies its
logs: three processes, 170 MB and two seconds of a processor. There is no public switch for them."""


def import_ray(address: str | None) -> Any:
    """Ray itself. Raises MissingExtraError."""
    # No usage statistics leave, a start under `uv run` doesn't upload the working folder (patients
    # and all), and a process without a GPU of its own sees what its machine has.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None and "ray" not in sys.modules:  # Ray reads this while it is imported
        # Its ports are open to the network, and whoever may speak to them may run code here.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Workers start when there is work for them, not one for each core in advance.
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("The cluster courier", "cluster") from error
    return ray


def start(ray: Any, address: str | None) -> None:
    """Start Ray here, or join the cluster at `address`. Raises CourierError."""
    try:
        if address is not None:
            _refuse_silent(address)
        with nullcontext() if address else _alone():
            given = {"address": address} if address else {"address": "local", **QUIET}
            ray.init(**given, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        raise CourierError(
            f"No Ray cluster answers at {address or 'this machine'} ({error}). Start it, or leave"
            " courier.address out to use this machine."
        ) from error


QUIET: dict[str, Any] = {"include_dashboard": False}


def _refuse_silent(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


@contextmanager
def _alone() -> Iterator[None]:
    """Ray starts without what only onlookers need; a version that names it otherwise, with it."""
    from ray._private import node

    own = {name: getattr(node.Node, name, None) for name in FOR_ONLOOKERS}
    for name in own:
        if own[name] is not None:
            setattr(node.Node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, method in own.items():
            if method is not None:
                setattr(node.Node, name, method)

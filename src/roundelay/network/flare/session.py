"""The coordinator's session with the server of a network: calls that outlast a lost connection."""

import contextlib
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roundelay.errors import CourierError, NetworkError
from roundelay.network.flare.extra import flare
from roundelay.network.flare.whole_kit import refuse_damaged
from roundelay.network.wire.kit import AGAIN, administrator, kit_role
from roundelay.network.wire.parsing import shown
from roundelay.records.signatures import COORDINATOR

LOGIN_SECONDS = 20.0

COMMAND_SECONDS = 60.0

PAUSE = 0.5


class Session:
    """Opened at the first call. A server that doesn't answer is waited for `patience` seconds."""

    def __init__(self, kit: Path, *, patience: float) -> None:
        """Raises NetworkError where the kit is not a coordinator's, MissingExtraError without
        NVIDIA FLARE."""
        flare()
        if (role := kit_role(kit)) != COORDINATOR:
            raise NetworkError(f"{kit} is the kit of a {role}, not of a coordinator.")
        self._kit, self._patience = kit.resolve(), patience
        refuse_damaged(self._kit, COORDINATOR)
        self._user = administrator(kit)
        self._open_session: Any = None
        self._clients: dict[str, tuple[float, float]] = {}
        self.on_wait: Callable[[str], None] = lambda _: None

    @property
    def is_open(self) -> bool:
        return self._open_session is not None

    def call(self, verb: str, *arguments: Any) -> Any:
        """One call of FLARE's session. Raises CourierError where the server stays away."""
        from nvflare.fuel.flare_api.flare_api import NoConnection, SessionClosed

        until, away = time.monotonic() + self._patience, False
        while True:
            try:
                if self._open_session is None:
                    self._open_session = self._open()
                found = getattr(self._open_session, verb)(*arguments)
                if away:
                    self.on_wait("")
                return found
            except (NoConnection, SessionClosed, ConnectionError, TimeoutError) as error:
                self.close()
                if time.monotonic() > until:
                    raise CourierError(
                        f"The network's server at {self._user.host}:{self._user.port} doesn't"
                        f" answer ({error or type(error).__name__}). What was handed over is kept;"
                        " when it is there again, go on with --resume."
                    ) from error
                if not away:
                    self.on_wait(f"doesn't answer at {self._user.host}:{self._user.port}")
                away = True
                time.sleep(PAUSE)

    def heard(self) -> dict[str, float]:
        """Sites that are connected, with the seconds since each was last heard of, at least.

        The server's clock may be wrong: what counts is since when its time for a site stood still.
        """
        info, now = self.call("get_system_info"), time.monotonic()
        for client in info.client_info:
            known = self._clients.get(client.name)
            if known is None or known[0] != client.last_connect_time:
                self._clients[client.name] = (client.last_connect_time, now)
        names = {client.name for client in info.client_info}
        return {name: now - since for name, (_, since) in self._clients.items() if name in names}

    def close(self) -> None:
        """Let go; the next call opens it again."""
        if self._open_session is not None:
            with contextlib.suppress(Exception):  # one that is broken is closed already
                self._open_session.close()
            self._open_session = None

    def _open(self) -> Any:
        from nvflare.fuel.flare_api.flare_api import SessionClosed, new_secure_session

        # Its loggers have no name in common, and say on standard error what is handled here.
        logging.getLogger().addHandler(logging.NullHandler())
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it speaks of connecting
                return new_secure_session(
                    self._user.username, str(self._kit), timeout=LOGIN_SECONDS,
                    command_timeout=COMMAND_SECONDS,
                )  # fmt: skip
        except (SessionClosed, ConnectionError, TimeoutError):
            raise
        except Exception as error:  # FLARE's errors have no base of their own
            raise NetworkError(
                f"From the kit {self._kit} no session with the network's server could be opened"
                f" ({type(error).__name__}: {shown(error)}). Put it back from a copy, or {AGAIN}."
            ) from error

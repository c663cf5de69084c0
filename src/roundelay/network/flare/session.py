"""The coordinator's session with the server of a network: calls that outlast a lost connection."""

import contextlib
import io
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roundelay.errors import CourierError, NetworkError, RefusedError
from roundelay.network.flare.extra import need_flare
from roundelay.network.flare.whole_kit import refuse_damaged
from roundelay.network.wire.kit import AGAIN, administrator, kit_role
from roundelay.network.wire.parsing import shown
from roundelay.records.signatures import COORDINATOR

CONNECT_SECONDS = 20.0

PAUSE = 0.5


Reply = tuple[dict[str, Any], bytes]


class Session:
    """Opened at the first call. A server that doesn't answer is waited for `patience` seconds."""

    def __init__(self, kit: Path, *, patience: float) -> None:
        """Raises NetworkError where the kit is not a coordinator's, MissingExtraError without
        NVIDIA FLARE."""
        need_flare()
        if (role := kit_role(kit)) != COORDINATOR:
            raise NetworkError(f"{kit} is the kit of a {role}, not of a coordinator.")
        self._kit, self._patience = kit.resolve(), patience
        refuse_damaged(self._kit, COORDINATOR)
        self._user = administrator(kit)
        self._api: Any = None
        self._lock = threading.Lock()
        self.on_wait: Callable[[str], None] = lambda _: None

    @property
    def is_open(self) -> bool:
        return self._api is not None

    def ask(
        self,
        topic: str,
        values: dict[str, Any],
        data: bytes = b"",
        *,
        patience: float | None = None,
    ) -> Reply:
        """One call to the server. Raises CourierError where it stays away for `patience` seconds,
        the session's own unless said otherwise, or says no."""
        from roundelay.network.flare.channel import call

        patience = self._patience if patience is None else patience
        until, away = time.monotonic() + patience, False
        while True:
            try:
                with self._lock:  # several pieces travel at once
                    if self._api is None:
                        self._api = self._open()
                    cell = self._api.get_cell()
                found = call(cell, topic, values, data)
                if away:
                    self.on_wait("")
                return found
            except RefusedError as error:
                raise CourierError(f"{error} What was handed over is kept.") from error
            except (ConnectionError, TimeoutError) as error:
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

    def close(self) -> None:
        """Let go; the next call opens it again."""
        with self._lock:
            if self._api is not None:
                with contextlib.suppress(Exception):  # one that is broken is closed already
                    self._api.close()
                self._api = None

    def _open(self) -> Any:
        """FLARE's connection of an administrator, who doesn't log in: nothing is to be commanded.
        Raises ConnectionError where the server is away."""
        from nvflare.apis.fl_exception import FLCommunicationError
        from nvflare.fuel.flare_api.flare_api import Session as FlareSession

        # Its loggers have no name in common, and say on standard error what is handled here.
        logging.getLogger().addHandler(logging.NullHandler())
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it speaks of connecting
                api = FlareSession(self._user.username, str(self._kit)).api
                try:
                    api.connect(CONNECT_SECONDS)
                except BaseException:
                    api.close()
                    raise
                return api
        except FLCommunicationError as error:
            if "cannot connect" in str(error) or "cannot authenticate" in str(error):
                raise ConnectionError(str(error)) from error
            raise self._broken(error) from error
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # FLARE's errors have no base of their own
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> NetworkError:
        return NetworkError(
            f"From the kit {self._kit} no session with the network's server could be opened"
            f" ({type(error).__name__}: {shown(error)}). Put it back from a copy, or {AGAIN}."
        )

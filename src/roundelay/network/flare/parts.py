"""The two parts of ours that run within NVIDIA FLARE's own processes: one at the server, one at a
site. A kit names them; no job starts them, and none runs at all.
"""

import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey

from roundelay.errors import RefusedError
from roundelay.files.mishap import why
from roundelay.network.flare.answering import Answering
from roundelay.network.flare.channel import CHANNEL, call, refusal, reply_of, said, sender, wake
from roundelay.network.flare.queue import RequestQueue
from roundelay.network.hospital.workers import Workers
from roundelay.network.wire.kit import HOME
from roundelay.records.signatures import COORDINATOR


class ServerPart(FLComponent):  # type: ignore[misc]
    """At the server: `coordinator` is the name in the certificate of who may ask hospitals."""

    def __init__(self, coordinator: str) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._queue: RequestQueue | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.SYSTEM_START and self._queue is None:
            cell = fl_ctx.get_engine().get_cell()
            home = _kit(fl_ctx) / HOME
            self._queue = RequestQueue(home, lambda site: wake(cell, site))
            cell.core_cell.register_request_cb(CHANNEL, "*", self._serve)

    def _serve(self, message: Any) -> Any:
        assert self._queue is not None
        try:
            name = sender(message)
            who = COORDINATOR if name == self._coordinator else name
            topic, (values, data) = message.get_header(MessageHeaderKey.TOPIC), said(message)
            return reply_of(*self._queue.serve(who, topic, values, data))
        except RefusedError as error:
            return refusal(error)
        except OSError as error:
            traceback.print_exc(file=sys.stderr)
            return refusal(RefusedError(f"The network's server can't write or read: {why(error)}."))


class SitePart(FLComponent):  # type: ignore[misc]
    """At a site: fetches its requests, hands them to a process of its own, and brings the answers
    away. It needs no torch."""

    def __init__(self) -> None:
        super().__init__()
        self._answering: Answering | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.SYSTEM_START and self._answering is None:
            cell, home = fl_ctx.get_engine().get_cell(), _kit(fl_ctx) / HOME
            self._answering = Answering(
                home, lambda topic, values, data: call(cell, topic, values, data), Workers(home)
            )
            cell.core_cell.register_request_cb(CHANNEL, "*", self._answering.wake)
            threading.Thread(target=self._answering.run, daemon=True, name="roundelay").start()


def _kit(fl_ctx: FLContext) -> Path:
    return Path(fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT).get_root_dir())

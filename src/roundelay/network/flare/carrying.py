"""The two classes that run inside NVIDIA FLARE: one at the server, one at a site.

They carry bytes and progress, and know nothing of what the bytes mean.
"""

import contextlib
import shutil
import threading
import time
from base64 import b64encode
from importlib import import_module
from pathlib import Path
from typing import Any

from nvflare.apis.controller_spec import Task
from nvflare.apis.dxo import DXO  # noqa: F401  (registers FLARE's own decoders)
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from roundelay.learning.cpu.heap import keep_freed_memory
from roundelay.network.flare.jobs import ANSWER, REQUEST
from roundelay.network.wire.transport import TOLD

TASK, BYTES, PROGRESS, ASK = "answer", "bytes", "roundelay-progress", "roundelay-ask"

HELD = 60.0
"""Seconds that an answer waits to be taken while its job runs; afterwards it comes as its result,
which costs the ten seconds that FLARE takes to end a job."""

FORGOTTEN = 3600.0

PULSE = 1.0
"""Seconds between two messages of progress."""

ALIVE = 5.0
"""Seconds after which a process without progress says that it is there."""


class ServerController(Controller):  # type: ignore[misc]
    """At the server: hands the request to its site, and the answer to the coordinator."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self._site = site
        self._last: dict[str, Any] = {}
        self._moved = self._heard_at = time.monotonic()
        self._begun = False
        self._answer = b""
        self._taken = threading.Event()

    def start_controller(self, fl_ctx: FLContext) -> None:
        engine = fl_ctx.get_engine()
        engine.register_aux_message_handler(PROGRESS, self._heard)
        engine.register_app_command(ASK, self._asked)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        workspace = fl_ctx.get_engine().get_workspace()
        request = Path(workspace.get_app_config_dir(fl_ctx.get_job_id())) / REQUEST
        data = Shareable()
        data[BYTES] = request.read_bytes()
        request.unlink()  # it would come back with the answer
        task = Task(name=TASK, data=data, result_received_cb=self._answered)
        self.broadcast_and_wait(
            task=task, fl_ctx=fl_ctx, targets=[self._site], min_responses=1,
            abort_signal=abort_signal,
        )  # fmt: skip
        if self._answer and not self._taken.wait(HELD):
            place = Path(workspace.get_run_dir(fl_ctx.get_job_id()))
            (place / ANSWER).write_bytes(self._answer)

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Nothing is held."""

    def process_result_of_unknown_task(self, *_: Any, **__: Any) -> None:
        """A late answer of an aborted job: the site keeps it, and gives it when asked again."""

    def _answered(self, client_task: Any, fl_ctx: FLContext) -> None:
        self._answer = client_task.result.get(BYTES) or b""
        client_task.result[BYTES] = None

    def _heard(self, topic: str, request: Shareable, fl_ctx: FLContext) -> Shareable:
        self._heard_at, self._begun = time.monotonic(), True
        if isinstance(progress := request.get("progress"), dict):
            told = {
                key: progress[key] for key in TOLD if isinstance(progress.get(key), int | float)
            }
            self._last, self._moved = told, self._heard_at
        return make_reply(ReturnCode.OK)

    def _asked(self, topic: str, data: dict[str, int], fl_ctx: FLContext) -> dict[str, Any]:
        """Progress; or the bytes of the answer that ``{"first", "end"}`` name; or it was taken."""
        if "taken" in data:
            self._taken.set()
            return {}
        if "first" in data:
            return {BYTES: b64encode(self._answer[data["first"] : data["end"]]).decode()}
        now = time.monotonic()
        since = {"silent": round(now - self._moved, 1), "mute": round(now - self._heard_at, 1)}
        return {**self._last, **since, "begun": self._begun, "answered": len(self._answer)}


class SiteExecutor(Executor):  # type: ignore[misc]
    """At a site: hands the request to the hospital's handler, and tells of progress meanwhile."""

    def __init__(self, needs_torch: bool) -> None:
        super().__init__()
        if needs_torch:
            keep_freed_memory()  # this process is the site's, and ends with its one request
            # torch takes seconds to load: they pass while the request travels.
            threading.Thread(
                target=import_module, args=["roundelay.network.hospital.answers"]
            ).start()

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        workspace = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
        kit = Path(workspace.get_root_dir())
        with _Pulse(fl_ctx) as pulse:
            from roundelay.network.hospital.request_handler import answer  # seconds, with torch
            from roundelay.network.wire.kit import HOME

            reply = make_reply(ReturnCode.OK)
            reply[BYTES] = answer(kit / HOME, shareable[BYTES], pulse.step)
        _forget_jobs(kit, but=fl_ctx.get_job_id())
        return reply


def _forget_jobs(kit: Path, *, but: str) -> None:
    """FLARE leaves a folder of logs for each job in the kit: those of an hour ago go."""
    for folder in kit.iterdir():
        is_job = len(folder.name) == len(but) and folder.name.count("-") == 4
        with contextlib.suppress(OSError):  # another process of this site forgets it, too
            if is_job and folder.name != but and time.time() - folder.stat().st_mtime > FORGOTTEN:
                shutil.rmtree(folder, ignore_errors=True)


class _Pulse:
    """Sends the newest progress once a second, from a thread of its own; and every few seconds
    that the process lives, also where nothing moved."""

    def __init__(self, fl_ctx: FLContext) -> None:
        self._context = fl_ctx
        self._newest: dict[str, Any] | None = {"step": 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> "_Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def step(self, progress: dict[str, Any]) -> None:
        self._newest = progress

    def _send(self) -> None:
        engine, told = self._context.get_engine(), time.monotonic()
        while True:
            progress, self._newest = self._newest, None
            if progress is not None or time.monotonic() - told > ALIVE:
                told = time.monotonic()
                message = Shareable()
                message["progress"] = progress
                engine.send_aux_request(
                    targets=["server"], topic=PROGRESS, request=message, timeout=5.0,
                    fl_ctx=self._context, optional=True,
                )  # fmt: skip
            if self._ended.wait(PULSE):
                return

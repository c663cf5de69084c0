"""A process that answers requests, one after the other, as its standard input names them.

It ends with its parent, at once: its input ends then. What it says stands on its standard output,
a line each; whatever else is printed goes to the log.
"""

import contextlib
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from roundelay.files.mapped import mapped
from roundelay.learning.cpu.heap import give_back_freed_memory, keep_freed_memory
from roundelay.network.hospital.request_handler import answer
from roundelay.network.wire.messages import Parts, payload_of

PULSE = 0.2
"""Seconds between two messages of progress."""


def main() -> None:
    home, says = Path(sys.argv[1]), _own_output()
    commands: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=[commands], daemon=True).start()
    while True:
        command = commands.get()
        if command.get("torch"):
            _load_torch()
        if "head" in command:
            done = _answer(home, command, _Progress(says))
            give_back_freed_memory()
            _say(says, {"done": done})


def _answer(home: Path, command: dict[str, str], progress: "_Progress") -> dict[str, Any]:
    """Write the answer's head and payload into the files that the command names."""
    payload = mapped(Path(command["payload"])) if command["payload"] else b""
    request = Parts(Path(command["head"]).read_bytes(), payload, command["digest"])
    reply = answer(home, request, progress.tell)
    Path(command["answer"]).write_bytes(reply.head)
    if reply.payload:
        _put(reply, Path(command["answer_payload"]))
    return {"digest": payload_of(reply), "size": len(reply.payload)}


def _put(reply: Parts, to: Path) -> None:
    """What is kept in a file already is given as another name of it, where the file system can."""
    with contextlib.suppress(OSError):
        if reply.file is not None:
            os.link(reply.file, to)
            return
    to.write_bytes(reply.payload)


class _Progress:
    """Says the newest progress, not oftener than its pulse."""

    def __init__(self, says: TextIO) -> None:
        self._says, self._said = says, 0.0

    def tell(self, progress: dict[str, Any]) -> None:
        if time.monotonic() - self._said > PULSE:
            self._said = time.monotonic()
            _say(self._says, progress)


def _say(says: TextIO, message: dict[str, Any]) -> None:
    says.write(json.dumps(message) + "\n")
    says.flush()


def _load_torch() -> None:
    keep_freed_memory()  # before torch has any
    import roundelay.network.hospital.answers  # noqa: F401  (seconds)


def _own_output() -> TextIO:
    """Standard output for this alone: what a library prints goes where errors go."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def _listen(commands: "queue.Queue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        commands.put(json.loads(line))
    os._exit(1)


if __name__ == "__main__":
    main()

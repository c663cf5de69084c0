"""What crosses this machine's loopback interface, written down and searched."""

import mmap
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ALL_PROTOCOLS = 3
OUTGOING = 4
"""The loopback interface shows each packet twice: as it leaves, and as it arrives."""
ROOM = 256 << 20


@dataclass(frozen=True, slots=True)
class Capture:
    """A file of packets, one after the other."""

    path: Path

    def holds(self, patterns: Iterable[bytes]) -> bool:
        """Whether any of the patterns crossed. A pattern that was cut between two packets is
        missed, so search for several."""
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return any(data.find(pattern) >= 0 for pattern in patterns)


def can_capture() -> bool:
    """Whether this process may listen to an interface; on most systems root alone may."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)).close()
    except (AttributeError, OSError):
        return False
    return True


@contextmanager
def captured_loopback(path: Path) -> Iterator[Capture]:
    """Write down all loopback traffic into `path` until the block ends."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as raw:
        raw.bind(("lo", 0))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        raw.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            with path.open("wb") as file:
                while not ended.is_set():
                    try:
                        data, where = raw.recvfrom(1 << 17)
                    except TimeoutError:
                        continue
                    if where[2] != OUTGOING:
                        file.write(data)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield Capture(path)
        finally:
            ended.set()
            thread.join()

"""What crosses this machine's loopback interface, searched as it passes."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ALL_PROTOCOLS = 3
OUTGOING = 4
"""The loopback interface shows each packet twice: as it leaves, and as it arrives."""
ROOM = 256 << 20


@dataclass(slots=True)
class Capture:
    """How many bytes crossed so far, and how often one of the patterns was among them.

    A pattern that was cut between two packets is missed, so search for several.
    """

    patterns: Sequence[bytes]
    crossed: int = 0
    found: int = 0

    def see(self, packet: bytes) -> None:
        self.crossed += len(packet)
        self.found += sum(pattern in packet for pattern in self.patterns)


def can_capture() -> bool:
    """Whether this process may listen to an interface; on most systems root alone may."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)).close()
    except (AttributeError, OSError):
        return False
    return True


@contextmanager
def captured_loopback(patterns: Sequence[bytes]) -> Iterator[Capture]:
    """Search all loopback traffic until the block ends."""
    capture = Capture(patterns)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as raw:
        raw.bind(("lo", 0))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        raw.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    packet, where = raw.recvfrom(1 << 17)
                except TimeoutError:
                    continue
                if where[2] != OUTGOING:
                    capture.see(packet)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield capture
        finally:
            ended.set()
            thread.join()

"""Payloads by their digest, each a file that is whole: what travels in pieces comes together here.

A piece is hashed and written when it comes, so that none is in memory longer than it travels.
"""

import hashlib
import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from roundelay.errors import RefusedError

PIECE = 2 << 20
"""Bytes that travel at once: at half a megabit a second as long as FLARE lets it take."""

AT_ONCE = 3
"""Pieces that move at once, so that a slow connection is waited for a third as often."""

MOST_GROWING = 4
"""Payloads that one party may send at once."""

MOST_OF_ROOM = 0.5
"""Of what is free on the disk, the part that a payload may take."""

Found = TypeVar("Found")


class Blobs:
    """A folder of payloads. `durable`: what is whole is still so after a power cut."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder, self._durable = folder, durable
        self._growing: dict[tuple[str, str], _Growing] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.iterdir():
            if not durable or left.name.startswith("."):
                left.unlink()

    def path(self, digest: str) -> Path:
        """Where a payload lies, or would."""
        return self._folder / digest

    def has(self, digest: str) -> bool:
        """Whether it is there, whole; nothing is always there."""
        return not digest or self.path(digest).exists()

    def size(self, digest: str) -> int:
        return self.path(digest).stat().st_size

    def piece(self, digest: str, index: int) -> bytes:
        """Raises RefusedError where there is no such payload, or it has no such piece."""
        try:
            if index >= pieces_of(self.size(digest)):
                raise RefusedError("That payload has fewer pieces.")
            with self.path(digest).open("rb") as file:
                file.seek(index * PIECE)
                return file.read(PIECE)
        except FileNotFoundError as error:
            raise RefusedError("That payload is no longer here.") from error

    def add(self, digest: str, size: int, index: int, piece: bytes, *, by: str) -> None:
        """Take a piece of a payload that `by` sends; pieces may overtake each other.

        Raises RefusedError for a piece of another size, where all of them are other bytes, or
        where there is no room for them.
        """
        if self.has(digest):
            return
        growing = self._begun(digest, size, by)
        with growing.lock:
            if growing.add(index, piece):
                with self._lock:
                    self._growing.pop((by, digest), None)
                growing.end(self.path(digest), durable=self._durable)

    def adopt(self, file: Path, digest: str) -> None:
        """Take a file of these bytes, which then is no longer where it was."""
        file.replace(self.path(digest))

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def keep_only(self, digests: set[str]) -> None:
        """Remove all others that are whole."""
        for file in self._folder.iterdir():
            if not file.name.startswith(".") and file.name not in digests:
                file.unlink(missing_ok=True)

    def _begun(self, digest: str, size: int, by: str) -> "_Growing":
        with self._lock:
            found = self._growing.get((by, digest))
            if found is None or found.size != size:
                own = [key for key in self._growing if key[0] == by]
                for key in own[: max(0, len(own) + 1 - MOST_GROWING)]:
                    self._growing.pop(key).drop()
                self._refuse_more_than_fits(size)
                found = _Growing(self._folder / f".{digest}.{by}", size, digest)
                self._growing[by, digest] = found
            return found

    def _refuse_more_than_fits(self, size: int) -> None:
        """Whoever announces bytes may fill half of the room that there is, not the disk."""
        coming = sum(one.size for one in self._growing.values())
        free = shutil.disk_usage(self._folder).free
        if size > (free - coming) * MOST_OF_ROOM:
            raise RefusedError(
                f"There is no room for a payload of {size:,} bytes here ({free:,} are free)."
            )


class _Growing:
    """A payload of which some pieces have come."""

    def __init__(self, path: Path, size: int, digest: str) -> None:
        self.path, self.size, self.digest = path, size, digest
        self.lock = threading.Lock()
        path.write_bytes(b"")
        self._hash = hashlib.sha256()
        self._hashed, self._early = 0, set[int]()

    def add(self, index: int, piece: bytes) -> bool:
        """Write a piece; whether it was the last that was missing."""
        count = pieces_of(self.size)
        right = 0 <= index < count and len(piece) == length_of(index, self.size)
        if not right or not self.path.exists():
            raise RefusedError("This is no piece of the payload that was announced.")
        if index < self._hashed or index in self._early:
            return False
        self._write(index, piece)
        self._early.add(index)
        while self._hashed in self._early:
            self._early.remove(self._hashed)
            self._hash.update(piece if self._hashed == index else self._read(self._hashed))
            self._hashed += 1
        return self._hashed == count

    def end(self, path: Path, *, durable: bool) -> None:
        if durable:
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())
        if self._hash.hexdigest() != self.digest:
            self.path.unlink()
            raise RefusedError("The payload that came is not the one that was announced.")
        self.path.replace(path)

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)

    def _write(self, index: int, piece: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(index * PIECE)
            file.write(piece)

    def _read(self, index: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(index * PIECE)
            return file.read(PIECE)


def pieces_of(size: int) -> int:
    """How many pieces a payload of `size` bytes has."""
    return -(-size // PIECE)


def length_of(index: int, size: int) -> int:
    """How many bytes the piece `index` of a payload of `size` bytes has."""
    return min(PIECE, size - index * PIECE)


def in_order(move: Callable[[int], Found], count: int) -> Iterator[Found]:
    """What `move` gives for each of `count` pieces, in their order, some of them moving at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        moving: deque[Future[Found]] = deque()
        try:
            for index in range(count):
                moving.append(pool.submit(move, index))
                if len(moving) == AT_ONCE:
                    yield moving.popleft().result()
            while moving:
                yield moving.popleft().result()
        finally:
            for one in moving:
                one.cancel()

"""Files that a run left behind, read back: whole and of a known shape, or refused."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from roundelay.errors import UserError
from roundelay.files.mishap import why
from roundelay.files.regular import refuse_special

LARGEST = 1_000_000_000
"""Bytes of what a run records: scores of a hundred thousand patients are a tenth of that."""

PIECE = 1 << 20

SHOWN = 60
"""Letters of a strange key that are shown."""


def read_bytes(path: Path, error: type[UserError]) -> bytes:
    """All bytes of a file. Raises `error` where it can't be read or has more than `LARGEST`."""
    data = bytearray()
    try:
        refuse_special(path)
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                data += piece
                if len(data) > LARGEST:
                    raise error(f"{path} can't be read: it has over {LARGEST // 1_000_000} MB.")
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the name
        raise error(f"{path} can't be read: {why(fault)}.") from fault
    return bytes(data)


def read_json(
    path: Path,
    shape: TypeAdapter[Any],
    error: type[UserError],
    build: Callable[[Any], Any] = lambda values: values,
) -> Any:
    """What `build` makes of the values of a JSON file that we wrote. Raises `error` where they
    haven't that shape, or can't be built from.

    The values are as they stand in the file: `shape` looks at them and changes none.
    """
    data = read_bytes(path, error)
    try:
        shape.validate_json(data)
        return build(parse_json(data))
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise error(
            f"{path} is damaged ({_first(fault)}). Put it back from a copy held elsewhere."
        ) from fault


def parse_json(data: bytes | str) -> Any:
    """The values of a JSON text. Raises ValueError, also for a key that stands twice in one place:
    readers differ in which of the two they take."""
    return json.loads(data, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice[:SHOWN]!r} stands twice")
    return values


def _first(fault: Exception) -> str:
    if not isinstance(fault, ValidationError):
        return why(fault)
    first = fault.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]

"""Messages that nobody should send: heads, bytes and arrays, altered in every way drawn."""

import copy
import hashlib
import json
import re
import struct
from random import Random
from typing import Any

from roundelay.files.canonical import canonical_json
from roundelay.network.wire.keys import Keys
from roundelay.network.wire.messages import SIGNATURE, Parts

RAW = "@raw@"
"""Begins and ends a text that stands in a head as it is: what no Python value is written as."""


def raw(text: str) -> str:
    return f"{RAW}{text}{RAW}"


def deep(opening: str, closing: str, depth: int) -> str:
    return raw(opening * depth + "1" + closing * depth)


HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, -2, 2**31, 2**63, -(2**63) - 1, 2**64, 10**12, 10**30, 10**400,
    0.5, -0.0, 1e-320, 1e300, -1e300, raw("1e999"), raw("-1e999"), raw("NaN"), raw("Infinity"),
    raw("1" * 4000), raw("1" * 5000), raw("1E5"), raw("1.0"),
    "", " ", "x", "0", "1", "nan", "None", "true", "a" * 64, "0" * 64, "0" * 128, "f" * 100_000,
    "\0", "a\0b", "\n", "x\n", "\x1b[2J\x1b[H", "\u202egnp.exe", "\ud800", "a\udfff",
    "é", "e\u0301",
    "\U0001f9e0", "../../keys/x", "..", "/etc/passwd", "C:\\x", "%2e%2e", "[bold]",
    "=HYPERLINK(1)", "${HOME}", "{0}", "%s", "EAST", "WEST", "west",
    "coordinator", "server", "pooled", "train",
    "validation", "test", "skip", "defer", "none", "owner", "resnext50_32x4d", "table:/etc/passwd",
    "chunks:9", "os.system", "swt-0", "swt-1", "r2",
    [], {}, [[]], [{}], {"": ""}, ["x"], [None], {"a": {"b": {}}}, [1] * 2000, list("ab") * 600,
    {str(i): i for i in range(1500)}, {"\ud800": 1}, {"__class__": "x"}, {"\x1b[2J": 1},
    deep("[", "]", 60), deep("[", "]", 400), deep("[", "]", 950), deep("[", "]", 60_000),
    deep('{"a":', "}", 60), deep('{"a":', "}", 400), deep('{"a":', "}", 950),
    deep('{"a":', "}", 60_000),
)  # fmt: skip

KEYS = ("", "x", "payload", "request", "site", "ask", "run", "leg", "refused", "failed",
        "awaiting", "waits", "\ud800", "\x1b[2J", "k" * 10_000, "__proto__", "model_config",
        "legs")  # fmt: skip

Paths = list[tuple[Any, ...]]


def paths_of(value: Any, own: tuple[Any, ...] = ()) -> Paths:
    """Where in a value something can be altered: each key and index, to any depth."""
    found: Paths = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in items:
        found.append((*own, key))
        if isinstance(one, dict | list):
            found += paths_of(one, (*own, key))
    return found[:500]


def hostile(rng: Random) -> Any:
    """A copy: a second mutation must not alter the list itself."""
    return copy.deepcopy(rng.choice(HOSTILE))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _remove(value: Any, path: tuple[Any, ...], rng: Random) -> None:
    del _at(value, path[:-1])[path[-1]]


def _hostile(value: Any, path: tuple[Any, ...], rng: Random) -> None:
    _at(value, path[:-1])[path[-1]] = hostile(rng)


def _drawn(value: Any, path: tuple[Any, ...], rng: Random) -> None:
    _at(value, path[:-1])[path[-1]] = anything(rng)


def anything(rng: Random, depth: int = 0) -> Any:
    """A value of any type: any number, any letters, lists and tables of them."""
    kind = rng.choice("nbifsslt" if depth < 3 else "nbifs")
    some = range(rng.randint(0, 3))
    return {
        "n": lambda: None,
        "b": lambda: rng.random() < 0.5,
        "i": lambda: rng.getrandbits(rng.choice((4, 16, 70, 300))) * rng.choice((1, -1)),
        "f": lambda: struct.unpack("d", rng.randbytes(8))[0],
        "s": lambda: "".join(chr(rng.randint(0, rng.choice((127, 0x10FFFF)))) for _ in range(9)),
        "l": lambda: [anything(rng, depth + 1) for _ in some],
        "t": lambda: {str(anything(rng, 3)): anything(rng, depth + 1) for _ in some},
    }[kind]()


def _retyped(value: Any, path: tuple[Any, ...], rng: Random) -> None:
    """The same in another type: what a lax parser takes for the same."""
    there, key = _at(value, path[:-1]), path[-1]
    one = there[key]
    kinds = [str(one)[:500], [one], {"value": one}, bool(one)]
    if isinstance(one, int | float):
        kinds += [float(one) if abs(one) < 1e300 else one, -one, one + 1, one * 10**15]
    if isinstance(one, str):
        kinds += [one.swapcase(), f"{one} ", f"{one}\n", f"../{one}", one[:-1], one * 2]
    if isinstance(one, dict):
        kinds += [list(one), list(one.values())]
    there[key] = rng.choice(kinds)


def _added(value: Any, path: tuple[Any, ...], rng: Random) -> None:
    there = _at(value, path[:-1])
    if isinstance(there, dict):
        there[rng.choice(KEYS)] = hostile(rng)
    else:
        there.insert(path[-1], hostile(rng))


def _exchanged(value: Any, path: tuple[Any, ...], rng: Random) -> None:
    """Another part of the same message in its place."""
    other = rng.choice(paths_of(value))
    _at(value, path[:-1])[path[-1]] = copy.deepcopy(_at(value, other))


MUTATIONS = (_remove, _hostile, _hostile, _hostile, _drawn, _retyped, _retyped, _added, _exchanged)


def altered(rng: Random, value: Any) -> Any:
    """A copy with one to three places altered."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = paths_of(value)
        if places:
            mutation = rng.choice(MUTATIONS)
            mutation(value, rng.choice(places), rng)
    return value


def as_text(value: Any) -> bytes:
    """JSON as a stranger would write it: NaN, surrogates and all."""
    text = json.dumps(value, sort_keys=False)
    return re.sub(f'"{RAW}(.*?){RAW}"', lambda m: m[1].replace('\\"', '"'), text).encode()


def signed_message(head: Any, payload: bytes, keys: Keys) -> Parts:
    """A message with any head, well signed, its payload's digest beside what the head says."""
    if isinstance(head, dict):
        head = {"payload": hashlib.sha256(payload).hexdigest(), **head}
    text = as_text(head)
    framed = [len(text).to_bytes(4, "big"), text, bytes.fromhex(keys.sign(text))]
    return Parts(b"".join(framed), payload)


def whole(message: Parts) -> bytes:
    """All bytes of a message, to alter."""
    return message.head + message.payload


def as_parts(data: bytes) -> Parts:
    """Bytes as a message, whose head is as long as they say."""
    end = 4 + int.from_bytes(data[:4], "big") + SIGNATURE
    return Parts(data[:end], data[end:])


def altered_bytes(rng: Random, data: bytes) -> bytes:
    """Bytes flipped, cut, doubled, inserted or overwritten, mostly near the beginning."""
    near = rng.choice((4, 16, 200, len(data)))
    at = rng.randint(0, min(near, len(data) - 1)) if data else 0
    some = rng.choice((b"", b"\0", b"\xff" * 8, b"\x7f" * 4, b"{}", b"[" * 50, b"RNDLSEAL"))
    kind = rng.choice(("flip", "cut", "insert", "over", "double", "drop", "end"))
    if kind == "flip" and data:
        return data[:at] + bytes([data[at] ^ (1 << rng.randint(0, 7))]) + data[at + 1 :]
    changed = {
        "cut": data[:at],
        "insert": data[:at] + some + data[at:],
        "over": data[:at] + some + data[at + len(some) :],
        "double": data[:at] + data,
        "drop": data[:at] + data[at + rng.randint(1, 40) :],
        "end": data + some,
    }
    return changed.get(kind, data)


def canonical(value: Any) -> bytes:
    """What would be signed of a value, where it can be written so."""
    try:
        return canonical_json(value)
    except (ValueError, TypeError, RecursionError):
        return as_text(value)

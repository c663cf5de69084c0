"""The text that NRRD and MHA files begin with, read before SimpleITK sees the file.

SimpleITK takes more spellings than there are: of some it never comes back, and through others it
reads voxels from another file.
"""

import re
from pathlib import Path

from roundelay.errors import DataError

DETACHED = {".nhdr": ".nrrd", ".mhd": ".mha"}
"""Endings of headers whose voxels lie in another file, and of the same in one file."""

_LOCAL = re.compile(rb"^ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n", re.MULTILINE)
_FIELD = re.compile(rb"([^\s=:]+)[ \t]*=[ \t]*([^\r\n]*)\r?")
_ENCODED = re.compile(rb"^encoding:[ \t]*(\w+)", re.MULTILINE | re.IGNORECASE)
_ELSEWHERE = re.compile(rb"^data ?file:", re.MULTILINE | re.IGNORECASE)
_SKIP = re.compile(rb"^(line|byte) ?skip:", re.MULTILINE | re.IGNORECASE)
_SPACE = re.compile(rb"^space:", re.MULTILINE | re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")

BOTH = {b"true": True, b"false": False}


def refuse_strange(path: Path, start: bytes) -> None:
    """Raise DataError for a header that says where other voxels lie, or that readers differ in;
    `start` is how the file begins."""
    ending = path.suffix.lower()
    if ending in DETACHED:
        raise _elsewhere(path)
    if ending == ".mha":
        _refuse_strange_mha(path, start)
    else:
        _refuse_strange_nrrd(path, start)


def packed_in(path: Path, data: bytes) -> tuple[bytes, int | None] | None:
    """What stands behind the header of a whole file, and how zlib names its packing (None: it
    isn't packed); None where the header says that not all of it are voxels, or in letters."""
    if path.suffix.lower() == ".mha":
        fields, rest = _mha_fields(path, data)
        if not _truth(path, fields, b"BinaryData", otherwise=True):
            return None
        return rest, 15 if _truth(path, fields, b"CompressedData", otherwise=False) else None
    head, rest = _nrrd_parts(path, data)
    encoding = _ENCODED.search(head)
    named = encoding[1].lower() if encoding else b""
    if named in (b"gzip", b"gz"):
        return rest, 31
    return (rest, None) if named == b"raw" and not _SKIP.search(head) else None


def says_space(path: Path, start: bytes) -> bool:
    """Whether an NRRD file says where left and right are."""
    return bool(_SPACE.search(_nrrd_parts(path, start)[0]))


def _refuse_strange_mha(path: Path, start: bytes) -> None:
    fields, _ = _mha_fields(path, start)
    if fields[b"ElementDataFile"] != b"LOCAL":
        raise _elsewhere(path)
    sides = fields.get(b"DimSize", b"").split()
    if (
        not all(re.fullmatch(rb"[1-9][0-9]{0,8}", side) for side in sides)
        or fields.get(b"NDims") != str(len(sides)).encode()
    ):
        raise _strange(path, "NDims and DimSize don't say how many voxels it has")
    _truth(path, fields, b"CompressedData", otherwise=False)
    _truth(path, fields, b"BinaryData", otherwise=True)


def _mha_fields(path: Path, data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The keys of a header, up to ElementDataFile, and what follows."""
    end = _LOCAL.search(data)
    if end is None:
        raise _strange(path, "it has no line ElementDataFile = LOCAL")
    found: dict[bytes, bytes] = {}
    for line in data[: end.end()].removesuffix(b"\n").split(b"\n"):
        field = _FIELD.fullmatch(line)
        if field is None or field[1] in found:
            raise _strange(path, f"its line {line[:40].decode(errors='replace')!r}")
        found[field[1]] = field[2].strip()
    return found, data[end.end() :]


def _truth(path: Path, fields: dict[bytes, bytes], key: bytes, *, otherwise: bool) -> bool:
    found = BOTH.get(fields.get(key, str(otherwise).encode()).lower())
    if found is None:
        raise _strange(path, f"{key.decode()} is neither True nor False")
    return found


def _refuse_strange_nrrd(path: Path, start: bytes) -> None:
    head, _ = _nrrd_parts(path, start)
    if b"\r" in head.replace(b"\r\n", b"\n"):
        raise _strange(path, "its lines end as no other's")
    if _ELSEWHERE.search(head):
        raise _elsewhere(path)


def _nrrd_parts(path: Path, data: bytes) -> tuple[bytes, bytes]:
    """The header, which ends in an empty line, and what follows."""
    found = _END.search(data)
    if found is None:
        raise _strange(path, "no empty line ends it")
    return data[: found.start()], data[found.end() :]


def _elsewhere(path: Path) -> DataError:
    ending = path.suffix.lower()
    return DataError(
        f"{path} is a header whose voxels lie in another file. Write both anew as one"
        f" {DETACHED.get(ending, ending)} file."
    )


def _strange(path: Path, why: str) -> DataError:
    return DataError(f"{path} is damaged (its header: {why}). Copy it anew from its source.")

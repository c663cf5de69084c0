"""Text files that people write: UTF-8, with its mark or without; anything else in a sentence."""

from pathlib import Path

from roundelay.errors import UserError
from roundelay.files.regular import refuse_special

MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\0\0\xfe\xff": "UTF-32"}
"""The first bytes of texts in other encodings."""

SAVE = "Save it as UTF-8 (in Excel: CSV UTF-8) and try again."


def read_text(path: Path, error: type[UserError], *, limit: int) -> str:
    """A text file of `limit` bytes at most, without the mark that some editors put before it.

    Raises `error` where it can't be read, is larger, or is no UTF-8.
    """
    try:
        refuse_special(path)
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as fault:  # ValueError: a name that no system takes
        raise error(
            f"{path} can't be read: {getattr(fault, 'strerror', None) or fault}."
        ) from fault
    if len(data) > limit:
        raise error(f"{path} has more than {limit:,} bytes: it is another kind of file.")
    return decode(data, str(path), error)


def decode(data: bytes, where: str, error: type[UserError]) -> str:
    """Bytes as text. Raises `error` naming the line that is no UTF-8, or the encoding it is in."""
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "")
    if encoding or b"\0" in data:
        raise error(f"{where} is no UTF-8 text but {encoding or 'of other bytes'}. {SAVE}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error(
            f"{where} is no UTF-8 text (byte 0x{data[fault.start]:02X} in line {line}). {SAVE}"
        ) from fault

"""Names of sites and patients, as types that can't be wrong, and the file names made of them.

A name is shown whole wherever people read it. As part of a path it stands as `file_name` says.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

RESERVED = frozenset({"authority", "coordinator", "pooled", "server"})
"""What a site can't be called, in any case: other parties of a network, and all sites together."""

JOINERS = "\u200c\u200d"
"""Format characters without which some scripts and emoji can't be written."""

LONGEST_LINE = 200

SHOWN = 40
"""Letters of a refused name, or of one mapped to a file name, that are shown."""

LONGEST_FILE_NAME = 80
"""Bytes: no file system is known to take less, with what is put before and behind."""

_SAFE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]| (?! ))*(?<![. ])", re.ASCII)

_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin|conout|clock|(?:com|lpt)[0-9])(?:[. ].*)?", re.I)
"""What Windows takes for a device, whatever stands behind the first point."""

_OURS = frozenset({"figures", "samples", "sites", "arms", "report.html", "summary.json"})
"""What lies beside folders that are named after sites."""

_DIGITS = 12


class Name(str):
    """Text from outside that names something: Unicode NFC, one line, nothing invisible in it.

    Making one of anything else raises ValueError with the rest of a sentence.
    """

    __slots__ = ()
    longest: ClassVar[int] = 255
    reserved: ClassVar[frozenset[str]] = frozenset()

    def __new__(cls, text: str) -> Self:
        name = unicodedata.normalize("NFC", text).strip()
        if not name:
            raise ValueError("is empty")
        if fault := _fault(name, cls.longest):
            raise ValueError(f"{name[:SHOWN]!a} {fault}")
        if name.casefold() in cls.reserved:
            raise ValueError(f"{name!r} is kept for something else")
        return super().__new__(cls, name)

    @property
    def file_name(self) -> str:
        """The name as part of a path; see `file_name`."""
        return file_name(self)


class SiteName(Name):
    """The name of a hospital."""

    __slots__ = ()
    longest = 64
    reserved = RESERVED


class PatientId(Name):
    """The name of a patient."""

    __slots__ = ()


def one_line(text: str) -> str:
    """A text that is shown, as it is. Raises ValueError where a reader could be misled by it."""
    if not text.strip():
        raise ValueError("is empty")
    if fault := _fault(text, LONGEST_LINE):
        raise ValueError(fault.lstrip(". "))
    return text


def _fault(name: str, longest: int) -> str:
    """What is wrong with a name, as the rest of a sentence."""
    if len(name) > longest:
        return f"... has {len(name)} characters; {longest} at most"
    if name in (".", ".."):
        return "names a folder, not a hospital or a patient"
    for letter in name:
        if unicodedata.category(letter) == "Cs":
            return "holds a byte that is no Unicode text: was it named on another system?"
        if is_hidden(letter):
            return f"holds the character U+{ord(letter):04X}, which can't be seen or breaks text"
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in name):
        return "has nothing in it that can be read"
    return ""


def is_hidden(letter: str) -> bool:
    """Controls, surrogates, breaks of lines, marks that turn the direction, and no characters."""
    kind = unicodedata.category(letter)
    if kind == "Cf":
        return letter not in JOINERS
    return kind in ("Cc", "Cs", "Zl", "Zp") or ord(letter) & 0xFFFE == 0xFFFE


def visible(text: str) -> str:
    """A text for a terminal: what can't be seen in it, or would steer the terminal, is spelled."""
    return "".join(_spelled(c) if is_hidden(c) and c not in "\n\t" else c for c in text)


def _spelled(letter: str) -> str:
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file's name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def alike(name: str) -> str:
    """What two names share that a reader, or a file system, could take for one another."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.translate(dict.fromkeys(map(ord, JOINERS))).split())


def confusable(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two different names that differ in case, blanks or spelling of letters alone."""
    seen: dict[str, str] = {}
    for name in names:
        if (before := seen.setdefault(alike(name), name)) != name:
            return before, name
    return None


def file_name(text: str) -> str:
    """A name for a file or folder that every file system takes and that leads nowhere else.

    Plain text stays as it is. Any other text, a hostile one too, becomes what can be read of it
    and a digest: different texts give different names, in any case of their letters, unless they
    are plain and differ in case alone.
    """
    if (
        len(text) <= LONGEST_FILE_NAME
        and _SAFE.fullmatch(text)
        and not _DEVICE.fullmatch(text)
        and text.lower() not in _OURS
    ):
        return text
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", letters)[:SHOWN].strip("_-") or "name"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{readable}~{digest}"


def few_names(names: Sequence[str], most: int = 12) -> str:
    """Names after each other; of very many the first ones, and how many there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 2])} and {len(names) - most + 2} more"

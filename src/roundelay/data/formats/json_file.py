"""JSON that other programs and people wrote: its values, and the files that it names."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from roundelay.data.left_out import shown
from roundelay.errors import DataError
from roundelay.files.mishap import why
from roundelay.files.reading import parse_json
from roundelay.files.text import read_text

LARGEST = 1 << 28
"""Bytes of such a file, at most."""

_COMMENT = re.compile(r"^\s*(//|/\*|#)|[,{\[]\s*(//|/\*|#)")


def read_json_file(path: Path) -> Any:
    """Its values. Raises DataError naming the line that is no JSON."""
    text = read_text(path, DataError, limit=LARGEST)
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: {_fault(text, error)}") from error
    except RecursionError as error:
        raise DataError(
            f"{path} holds lists in lists a thousand deep: it is another kind of file."
        ) from error
    except ValueError as error:  # a key twice, a number of thousands of digits
        raise DataError(f"{path} can't be read: {shown(str(error))}. Mend that.") from error


def _fault(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "the file is empty."
    line = text.split("\n")[error.lineno - 1]
    before, after = text[: error.pos].rstrip(), text[error.pos :].lstrip()
    if after.startswith(("//", "/*", "#")) or _COMMENT.search(line):
        return "a comment stands here, and JSON knows none. Take it out."
    ended = (after[1:].lstrip() if after.startswith(",") else after)[:1]
    if (after.startswith(",") or before.endswith(",")) and ended in ("}", "]"):
        return "a comma stands behind the last entry, before the closing bracket. Take it out."
    return f"this is no JSON ({error.msg}, column {error.colno}). Mend it."


def plain_text(value: Any, where: str, what: str) -> str:
    """A text. Raises DataError where it is something else, or empty."""
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where} must be {what} as a text; it is {said(value)}.")
    return value


def said(value: Any) -> str:
    """A value as a message shows it: on one line, cut."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "many lists in lists"
    return text if len(text) <= 60 else f"{text[:57]}..."


def named_file(folder: Path, value: Any, where: str) -> Path:
    """The file that a text names, from `folder` on. It may lie elsewhere, as lists of large sets
    do, but it must be there and be a file. Raises DataError."""
    name = plain_text(value, where, "the path of a file")
    path = folder / name
    if "\\" in name and not os.path.lexists(path):  # as Windows writes paths
        path = folder / name.replace("\\", "/")
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise DataError(
            f"{where} names {shown(name)}, which is not there ({shown(why(error))}): looked for at"
            f" {shown(str(path))}. Paths count from the folder of the JSON file."
        ) from error
    if not stat.S_ISREG(mode):
        raise DataError(f"{where} names {shown(name)}, which is no file.")
    return path


def stem_of(path: Path) -> str:
    """A file's name without ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.mha``."""
    return re.sub(r"\.(nii(\.gz)?|nrrd|mha)$", "", path.name, flags=re.IGNORECASE)

"""What the machine refuses, as a sentence: what happened, where, what next.

The one place where an OSError, or an error of memory, becomes an error of Roundelay.
"""

import errno
import os
import re
from pathlib import Path

from roundelay.errors import DiskFullError, MachineError, MemoryFullError

RIGHTS = "Give yourself the right to it, or choose another place."
NETWORK = "Look whether the disk is still there, or the server that it is on, and try again."
FULL = {errno.ENOSPC, errno.EDQUOT}

NEXT = {
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
    errno.EROFS: "Choose a place that can be written.",
    errno.ENOENT: "Look at the name, or put it back, and try again.",
    errno.EEXIST: "Something of that name is there: move it, or choose another place.",
    errno.ENOTEMPTY: "Something of that name is there: move it, or choose another place.",
    errno.ENOTDIR: "A part of this path is a file and no folder. Choose another place.",
    errno.EISDIR: "It is a folder. Name a file.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "Links lead in a ring here: name the place itself.",
    errno.EXDEV: "Choose a folder that lies on one disk as a whole.",
    errno.EBUSY: "Something else holds it: wait for that, or choose another place.",
    errno.ETXTBSY: "Something else holds it: wait for that, or choose another place.",
    errno.EFBIG: "This file system takes no file as large. Choose another place.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n 4096) and try again.",
    errno.ENFILE: "The whole machine has too many files open: end other programs and try again.",
    errno.EIO: "The disk can't be read or written there: look at it, take a copy, and try again.",
    errno.ESTALE: NETWORK,
    errno.ENODEV: NETWORK,
    errno.ENXIO: NETWORK,
    errno.ETIMEDOUT: NETWORK,
    errno.ENOTCONN: NETWORK,
    errno.EHOSTDOWN: NETWORK,
    errno.EHOSTUNREACH: NETWORK,
}
"""What to do next, by what the system said."""

OTHERWISE = "Look at it, or choose another place, and try again."

NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "std::bad_alloc",
    "cannot allocate memory",
    "failed to map segment",  # of a library that is loaded
)
"""How PyTorch, its devices and the system say in the middle of a text that memory ran out."""

ASKED = re.compile(r"allocate ([0-9.]+ (?:bytes|[KMGT]iB))", re.IGNORECASE)

SMALLER = (
    "In the study, a smaller recipe.batch, data.size or model.encoder takes less; so do fewer"
    " threads. End other programs, or take a machine with more memory."
)


def explained(error: BaseException, at: Path | str | None = None) -> MachineError | None:
    """What the machine refused, said for people; None where it is another kind of error.

    `at` is what the caller was about to read or write: it stands for the name in the error, which
    may be a temporary one, or missing.
    """
    if isinstance(error, MachineError):
        return error
    if _is_memory(error):
        asked = ASKED.search(str(error))
        more = f" ({asked[1]} more were asked for)" if asked else ""
        return MemoryFullError(f"There is too little memory for this{more}.\n{SMALLER}")
    if isinstance(error, UnicodeEncodeError):
        return _of_name(error)
    return _of_system(error, at) if isinstance(error, OSError) else None


def _of_name(error: UnicodeEncodeError) -> MachineError:
    signs = error.object[error.start : error.end]
    if error.encoding == "utf-8":  # bytes of a name that Python keeps as half a sign
        return MachineError(f"A name here is no UTF-8 ({error.object[:60]!a}). Rename it.")
    return MachineError(
        f"Names of files are in {error.encoding} here, which has no {signs[:20]!a}."
        " Set PYTHONUTF8=1 and try again."
    )


def _of_system(error: OSError, at: Path | str | None) -> MachineError:
    where = _where(error, at)
    if error.errno in FULL:
        return DiskFullError(f"The disk is full: {where} was not written. Make room and try again.")
    what = why(error)
    next_ = NEXT.get(error.errno or 0, OTHERWISE)
    return MachineError(f"{where} can't be used: {what}. {next_}")


def why(error: BaseException) -> str:
    """What the system says of an error, never empty and never a number alone."""
    if isinstance(error, OSError) and error.errno:
        text = error.strerror or os.strerror(error.errno)
        text = text[:1].lower() + text[1:]
    else:
        text = str(error) or type(error).__name__
    return text.rstrip(".")


def _where(error: OSError, at: Path | str | None) -> str:
    name = at if at is not None else error.filename
    if name is None:
        return "A file or folder"
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else f"File {name}"


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    text = str(error).lower() if isinstance(error, RuntimeError | ImportError) else ""
    return any(said in text for said in NO_MEMORY)

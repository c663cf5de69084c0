"""What a folder holds, by kind: what systems leave behind, links to nowhere and pipes set apart."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roundelay.errors import DataError

SYSTEM = {
    "__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found",
    "thumbs.db", "desktop.ini",
}  # fmt: skip
"""What systems leave in folders under names without a dot before them."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Folders and files by name; `hidden` ones, and what is neither file nor folder (`odd`)."""

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    hidden: tuple[Path, ...]
    odd: tuple[Path, ...]


def list_folder(folder: Path) -> Listing:
    """A folder's entries, links followed. Raises DataError where it can't be read."""
    kinds: dict[str, list[Path]] = {"folders": [], "files": [], "hidden": [], "odd": []}
    try:
        for path, kind in sorted(_kinds(folder)):
            kinds[kind].append(path)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} can't be read: {error.strerror or error}. Mend that, or"
            " move it away, and try again."
        ) from error
    return Listing(**{name: tuple(paths) for name, paths in kinds.items()})


def walk(root: Path, deep: int, most: int) -> Iterator[Listing]:
    """A folder and those below it, down to `deep` and about `most` of them: half of these level by
    level, then down to the ground of one before the next, so that a tree may be wide or tall.

    Some may come twice. Raises DataError where one can't be read.
    """
    for by_level in (True, False):
        waiting, looked = deque([(root, 0)]), 0
        while waiting and looked < most // 2:
            folder, depth = waiting.popleft() if by_level else waiting.pop()
            listing, looked = list_folder(folder), looked + 1
            yield listing
            if depth < deep:
                waiting.extend((inner, depth + 1) for inner in listing.folders)
        if not waiting:
            return


def _kinds(folder: Path) -> Iterator[tuple[Path, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith(".") or entry.name.casefold() in SYSTEM:
                yield path, "hidden"
                continue
            try:
                mode = entry.stat().st_mode
            except OSError:
                if not entry.is_symlink():
                    raise
                yield path, "odd"  # a link to nowhere, or in a circle
                continue
            if stat.S_ISDIR(mode):
                yield path, "odd" if _leads_back(entry, folder) else "folders"
            else:
                yield path, "files" if stat.S_ISREG(mode) else "odd"


def _leads_back(entry: os.DirEntry[str], folder: Path) -> bool:
    if not entry.is_symlink():
        return False
    here, there = Path(os.path.realpath(folder)), Path(os.path.realpath(entry.path))
    return there == here or there in here.parents

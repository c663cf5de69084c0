"""The pictures of patients in a run folder: their list, and where each of them lies."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, TypeAdapter

from roundelay.errors import RunFolderError
from roundelay.files.reading import read_bytes, read_json
from roundelay.records.layout import SAMPLES

LARGEST = 50_000_000
"""Bytes of a picture: four panels of 1024 pixels a side, uncompressed, are a quarter of that."""


def _plain(name: str) -> str:
    if set(name) & set("/\\:\0") or not name.endswith(".png"):
        raise ValueError("is not the plain name of a picture (.png) in samples")
    return name


class _Sample(BaseModel):
    file: Annotated[str, AfterValidator(_plain)]
    arm: str
    site: str
    rank: str
    patient: str
    dice: float
    slice: int
    slices: int


_SAMPLES = TypeAdapter(list[_Sample])


def read_samples(out: Path) -> tuple[Mapping[str, Any], ...]:
    """What the pictures in a run folder show; empty where there are none."""
    path = out / SAMPLES
    return tuple(read_json(path, _SAMPLES, RunFolderError)) if path.exists() else ()


def is_picture(out: Path, name: str) -> bool:
    """Whether a file itself, no link to one elsewhere, has this name in the folder of pictures."""
    try:
        found = (out / SAMPLES.parent / name).lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST


def read_picture(out: Path, name: str) -> bytes:
    """A picture that the list names. Raises RunFolderError where it isn't there, or is a link."""
    path = out / SAMPLES.parent / name
    if not is_picture(out, name):
        raise RunFolderError(
            f"{path}, which {out / SAMPLES} names, is no picture of this run: it is missing, a link"
            f" or larger than {LARGEST // 1_000_000} MB. Put it back from a copy held elsewhere."
        )
    return read_bytes(path, RunFolderError)

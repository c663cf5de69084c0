"""What a party noted down in its kit, read back: of a known shape, or said to be damaged."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from roundelay.errors import RoundelayError
from roundelay.files.regular import plain_bytes

Shape = TypeVar("Shape")


def read_kept(
    path: Path, shape: TypeAdapter[Shape], error: type[RoundelayError], what_next: str
) -> Shape:
    """The values of a JSON file in a kit. Raises `error` where it is damaged, a disk's fault or
    somebody's; its text names the file within the kit, for it may leave a hospital."""
    try:
        return shape.validate_json(plain_bytes(path), strict=True)
    except (OSError, ValueError) as fault:
        raise error(
            f"{path.parent.name}/{path.name} in the kit can't be read or is damaged: {what_next}."
        ) from fault

"""The studies that come with Roundelay, as texts: named without reading one."""

import re
from importlib import resources
from pathlib import Path

import tomli_w

from roundelay.errors import StudyError

PRESETS = resources.files("roundelay") / "study" / "presets"


def preset_names() -> tuple[str, ...]:
    """Their names, in order."""
    found = (path.name for path in PRESETS.iterdir() if path.name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in found))


def preset_text(name: str) -> str:
    """The commented text of a preset."""
    return (PRESETS / f"{name}.toml").read_text(encoding="utf-8")


def with_root(text: str, root: Path) -> str:
    """A preset's text with the folder of the data in it; whatever else stands in it stays.

    Raises StudyError for a folder that a text can't name.
    """
    try:
        line = tomli_w.dumps({"root": str(root)}).strip()
        line.encode()
    except (ValueError, UnicodeEncodeError) as error:
        raise StudyError(
            f"The folder {str(root)!a} has a name that is no text ({error}). Rename it and try"
            " again."
        ) from error
    return re.sub(r"(?m)^root = .*$", lambda _: line, text)

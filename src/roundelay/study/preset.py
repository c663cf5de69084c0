"""The studies that come with Roundelay, as texts: named without reading one."""

import re
from importlib import resources
from pathlib import Path

import tomli_w

from roundelay.errors import StudyError

PRESETS = resources.files("roundelay") / "study" / "presets"

_KEPT = re.compile(r"(split|intensity|crop|neighbours|size|train_slices|slices) = ")

_LGG_CHANNELS = re.compile(r"(?m)^dropped_together = .*\n")

_CROP = 'crop = "brain"                      # the square around the head'


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


def kept_lines(text: str) -> list[str]:
    """What a preset's section ``[data]`` says of how images are used, whatever their format; the
    square is the head's."""
    lines = [line for line in _data(text).splitlines() if _KEPT.match(line)]
    return [_CROP if line.startswith("crop") else line for line in lines]


def with_data(text: str, section: str) -> str:
    """A preset's text with another section ``[data]``; of the recipe, less the names of LGG's
    channels."""
    return _LGG_CHANNELS.sub("", text.replace(_data(text), f"{section}\n"))


def _data(text: str) -> str:
    found = re.search(r"(?ms)^\[data\]$.*?(?=^\[(?!data\.))", text)
    assert found is not None
    return found[0]

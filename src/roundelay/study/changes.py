"""``--set KEY=VALUE``: single keys of a study file in other words, for one command."""

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from roundelay.errors import StudyError

EXAMPLE = "recipe.rounds=4"


def apply_changes(values: dict[str, Any], changes: Sequence[str], where: str) -> None:
    """Put each change in its place among the values of a file; whether a study has such a key is
    seen when all are checked.

    A change is ``key=value`` with the key's sections before points, as TOML has them. A value that
    is none of TOML's is text: ``model.encoder=resnet18``. Raises StudyError.
    """
    for change in changes:
        key, sign, text = change.partition("=")
        path = _path(key) if sign else None
        if path is None:
            raise StudyError(
                f"--set takes a key of the study and its value, as {EXAMPLE}; not {change!r}."
            )
        *sections, last = path
        place = values
        for depth, section in enumerate(sections, start=1):
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise StudyError(
                    f"--set {change}: {'.'.join(path[:depth])} in {where} is no table."
                )
        place[last] = _value(text.strip())


def _path(key: str) -> list[str] | None:
    """The names in a dotted key, quoted ones without their quotes."""
    try:
        found: Any = tomllib.loads(f"{key} = 0")
    except ValueError:
        return None
    path = []
    while isinstance(found, dict):
        if len(found) != 1:
            return None
        name, found = next(iter(found.items()))
        path.append(name)
    return path


def _value(text: str) -> Any:
    for spelled in (text, json.dumps(text)):
        try:
            found = tomllib.loads(f"value = {spelled}")
        except (ValueError, RecursionError):
            continue
        if found.keys() == {"value"}:
            return found["value"]
    return text

"""``--set KEY=VALUE``: single keys of a study file in other words, for one command."""

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from roundelay.errors import StudyError
from roundelay.study.study import Study

EXAMPLE = "recipe.rounds=4"

SHOWN = 60


def apply_changes(values: dict[str, Any], changes: Sequence[str], where: str) -> None:
    """Put each change in its place among the values of a file; whether a study has such a key is
    seen when all are checked.

    A change is ``key=value`` with the key's sections before points, as TOML has them. A value that
    is none of TOML's is text: ``model.encoder=resnet18``. Without a value the key is taken out, so
    that it has its default. Raises StudyError.
    """
    for change in changes:
        key, sign, text = change.partition("=")
        path = _path(key) if sign else None
        if path is None:
            raise StudyError(
                f"--set takes a key of the study and its value, as {EXAMPLE}; not {change!r}."
            )
        _refuse_bare_key(path, text)
        *sections, last = path
        place = values
        for depth, section in enumerate(sections, start=1):
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise StudyError(
                    f"--set {change}: {'.'.join(path[:depth])} in {where} is no table."
                )
        if text.strip():
            place[last] = _value(text.strip())
        else:
            place.pop(last, None)


def _refuse_bare_key(path: Sequence[str], text: str) -> None:
    """Raise StudyError for a section's key without its section, and name the section."""
    fields = Study.model_fields
    if path[0] in fields:
        return
    for name, field in fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and path[0] in kind.model_fields:
            raise StudyError(
                f"--set {'.'.join(path)}={text}: the key stands in a section. Did you mean"
                f" --set {name}.{'.'.join(path)}={text}?"
            )


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
    """A value of TOML's, or the text itself. Raises StudyError for a list or table that is none:
    texts in it have quotes."""
    for spelled in (text, json.dumps(text)):
        try:
            found = tomllib.loads(f"value = {spelled}")
        except (ValueError, RecursionError) as error:
            if text[0] in "[{":
                raise StudyError(
                    f"--set …={text[:SHOWN]}: this is no list or table ({error}). Texts in it have"
                    """ quotes, as in --set 'arms=["cwt", "swt"]'."""
                ) from error
            continue
        if found.keys() == {"value"}:
            return found["value"]
    return text

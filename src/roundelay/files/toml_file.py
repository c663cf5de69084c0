"""Files that people write: every fault at once, each with the nearest right key."""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from roundelay.errors import UserError
from roundelay.files.text import read_text


class Section(BaseModel):
    """A table of a file: unknown keys are refused, values never change their type unasked, and a
    number is a finite one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def text_of(pattern: str, meant: str) -> AfterValidator:
    """For a text that is all of `pattern`; of another one is said that it must be `meant`."""

    def fitting(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {meant}")
        return text

    return AfterValidator(fitting)


def share_or(word: str) -> BeforeValidator:
    """For `word`, or a number between 0 and 1, neither of them included."""

    def fitting(given: object) -> object:
        if given == word or (isinstance(given, float) and 0 < given < 1):
            return given
        raise ValueError(f"must be '{word}', or a number above 0 and below 1")

    return BeforeValidator(fitting)


Model = TypeVar("Model", bound=Section)
NOTHING: Mapping[str, str] = {}

LARGEST = 1 << 20
"""Bytes of a file that a person writes, at most."""

SHOWN = 60
"""Letters of a wrong value that are shown."""


def read_toml_file(
    model: type[Model], path: Path, error: type[UserError], renamed: Mapping[str, str] = NOTHING
) -> Model:
    """The values of a TOML file. Raises `error` where it can't be read or has faults."""
    text = read_text(path, error, limit=LARGEST)
    return check(model, parse_toml(text, str(path), error), str(path), error, renamed)


def parse_toml(text: str, where: str, error: type[UserError]) -> dict[str, Any]:
    """TOML as plain values. Raises `error` naming `where`."""
    try:
        return tomllib.loads(text)
    except RecursionError as fault:
        raise error(
            f"{where} is no TOML: lists or tables stand too deep in one another."
        ) from fault
    except ValueError as fault:  # of a number with thousands of digits too
        hint = (
            "\nA path with backslashes stands between single quotes: 'C:\\lgg'."
            if "\\" in text
            else ""
        )
        raise error(f"{where} is no TOML: {fault}.{hint}") from fault


def check(
    model: type[Model],
    values: Any,
    where: str,
    error: type[UserError],
    renamed: Mapping[str, str] = NOTHING,
) -> Model:
    """Values as a model. Raises `error` naming all their faults.

    `renamed` has the names that keys (``section.key``) and texts (``section.key = text``) had in
    earlier versions, with those of today.
    """
    try:
        # Through JSON: TOML's lists stand for tuples, which strict mode would otherwise refuse.
        return model.model_validate_json(_as_json(values, where, error))
    except ValidationError as fault:
        faults = "\n".join(f"  {_sentence(one, model, renamed)}" for one in fault.errors())
        count = fault.error_count()
        raise error(
            f"{where} has {count} fault{'s' * (count > 1)}:\n{faults}\nMend it and try again."
        ) from fault
    except TypeError as fault:
        raise error(f"{where}: dates and times have no place in it ({fault}).") from fault


def _as_json(values: Any, where: str, error: type[UserError]) -> str:
    try:
        return json.dumps(values)
    except (ValueError, RecursionError) as fault:
        raise error(f"{where} holds a number or a list that nothing can hold ({fault}).") from fault


def _sentence(fault: Any, model: type[BaseModel], renamed: Mapping[str, str]) -> str:
    where = ".".join(str(part) for part in fault["loc"] if part != "[key]") or "the file"
    given = fault.get("input")
    if fault["type"] != "extra_forbidden":
        shown = f" (it is {_short(given)})" if isinstance(given, str | int | float) else ""
        keys = ".".join(part for part in fault["loc"] if isinstance(part, str))
        today = renamed.get(f"{keys} = {given}")
        shown += f"; {given!r} is called '{today}' now" if today else ""
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}{shown}"
    if where in renamed:
        return f"{where}: this key is called '{renamed[where]}' now"
    key = str(fault["loc"][-1])
    near = difflib.get_close_matches(key, _keys_beside(fault["loc"], model), n=1, cutoff=0.5)
    return f"{where}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "")


def _short(given: str | int | float) -> str:
    if isinstance(given, int) and abs(given) >= 10**SHOWN:
        return f"a number of more than {SHOWN} digits"
    text = repr(given)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _keys_beside(loc: tuple[Any, ...], model: type[BaseModel]) -> list[str]:
    section: Any = model
    for part in loc[:-1]:
        annotation = section.model_fields[part].annotation
        section = next(a for a in (annotation, *get_args(annotation)) if hasattr(a, "model_fields"))
    return list(section.model_fields)

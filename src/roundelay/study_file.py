"""study.toml <-> Study: every fault of the file at once, each with the nearest right word."""

import difflib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from roundelay.errors import StudyError
from roundelay.study import Study


def preset_names() -> tuple[str, ...]:
    """The studies that come with Roundelay."""
    folder = resources.files("roundelay") / "presets"
    return tuple(
        sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))
    )


def preset_text(name: str) -> str:
    """The commented text of a preset."""
    return (resources.files("roundelay") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def read_study(study: Path | str, *, data: Path | None = None) -> Study:
    """Read a study file, or a preset by name; `data` takes the place of ``data.root``.

    A relative root is relative to the study file. Raises StudyError naming every fault at once.
    """
    if str(study) in preset_names() and not Path(study).exists():
        return parse_study(
            preset_text(str(study)), where=f"preset {study}", folder=Path(), data=data
        )
    path = Path(study)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{path} can't be read: {getattr(error, 'strerror', None) or error}.\n"
            f"Give a study file, or a preset: {', '.join(preset_names())}."
        ) from error
    return parse_study(text, where=str(path), folder=path.parent, data=data)


def parse_study(text: str, *, where: str, folder: Path, data: Path | None = None) -> Study:
    """Check the text of a study; `where` names it in errors, paths are relative to `folder`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{where} is no TOML: {error}.") from error
    try:
        # Through JSON: TOML's lists stand for tuples, which strict mode would otherwise refuse.
        _place_root(values, folder, data)
        return Study.model_validate_json(json.dumps(values))
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(fault)}" for fault in error.errors())
        count = error.error_count()
        raise StudyError(
            f"{where} has {count} fault{'s' * (count > 1)}:\n{faults}\nMend the file and try again."
        ) from error
    except TypeError as error:
        raise StudyError(f"{where}: dates and times have no place in a study ({error}).") from error


def _place_root(values: dict[str, Any], folder: Path, data: Path | None) -> None:
    section = values.setdefault("data", {})
    if not isinstance(section, dict):
        return
    if data is not None:
        section["root"] = str(data)
    elif isinstance(section.get("root"), str) and section["root"]:
        section["root"] = str((folder / section["root"]).resolve())
    scheme = section.get("sites")
    if isinstance(scheme, str) and scheme.startswith("table:") and len(scheme) > len("table:"):
        section["sites"] = f"table:{(folder / scheme.removeprefix('table:')).resolve()}"


def _fault(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "the study"
    if fault["type"] != "extra_forbidden":
        given = fault.get("input")
        shown = f" (it is {given!r})" if isinstance(given, str | int | float) else ""
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}{shown}"
    key = str(fault["loc"][-1])
    near = difflib.get_close_matches(key, _keys_beside(fault["loc"]), n=1, cutoff=0.5)
    return f"{where}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "")


def _keys_beside(loc: tuple[Any, ...]) -> list[str]:
    section: Any = Study
    for part in loc[:-1]:
        annotation = section.model_fields[part].annotation
        section = next(a for a in (annotation, *get_args(annotation)) if hasattr(a, "model_fields"))
    return list(section.model_fields)


def to_toml(study: Study) -> str:
    """A study as TOML; reading it again gives an equal study."""
    values = study.model_dump(mode="json", exclude_none=True)
    tables = {key: values.pop(key) for key in list(values) if isinstance(values[key], dict)}
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)

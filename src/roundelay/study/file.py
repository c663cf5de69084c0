"""study.toml <-> Study: every fault of the file at once, each with the nearest right key."""

from pathlib import Path
from typing import Any

import tomli_w

from roundelay.errors import StudyError
from roundelay.files.toml_file import check, parse_toml
from roundelay.study.preset import preset_names, preset_text
from roundelay.study.renamed import RENAMED
from roundelay.study.study import Study


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
    values = parse_toml(text, where, StudyError)
    _place_root(values, folder, data)
    return check(Study, values, where, StudyError, RENAMED)


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


def to_toml(study: Study) -> str:
    """A study as TOML; read again it gives an equal study."""
    return tomli_w.dumps(study.model_dump(mode="json", exclude_none=True))

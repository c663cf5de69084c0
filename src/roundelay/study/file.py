"""study.toml <-> Study: every fault of the file at once, each with the nearest right key."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from roundelay.errors import StudyError
from roundelay.files.text import read_text
from roundelay.files.toml_file import LARGEST, SHOWN, check, parse_toml
from roundelay.study.changes import apply_changes
from roundelay.study.preset import preset_names, preset_text
from roundelay.study.renamed import RENAMED
from roundelay.study.sections import TABLE, is_file, is_table
from roundelay.study.study import Study


def read_study(
    study: Path | str,
    *,
    data: Path | None = None,
    folds: int | None = None,
    changes: Sequence[str] = (),
) -> Study:
    """Read a study file, or a preset by name; `data` takes the place of ``data.root``, `folds` of
    ``data.folds``, with all of them to test in turn, and `changes` (``recipe.rounds=4``) those of
    the keys that they name.

    A relative path in it is relative to the study file. Raises StudyError naming every fault at
    once, or where a name is that of a preset and of a file.
    """
    path = Path(study)
    if str(study) in preset_names() and not (isinstance(study, Path) and path.is_file()):
        if path.is_file():
            raise StudyError(
                f"{study} is a preset, and a file here too. Give ./{study} for the file, or rename"
                " it for the preset."
            )
        return parse_study(
            preset_text(str(study)),
            where=f"preset {study}",
            folder=Path(),
            data=data,
            folds=folds,
            changes=changes,
        )
    try:
        text = read_text(path, StudyError, limit=LARGEST)
    except StudyError as error:
        _refuse_folder(path)
        if path.is_file():
            raise
        presets = f"Give a study file, or a preset: {', '.join(preset_names())}."
        raise StudyError(f"{error}\n{presets}") from error
    return parse_study(
        text, where=str(path), folder=path.parent, data=data, folds=folds, changes=changes
    )


def _refuse_folder(path: Path) -> None:
    """Raise StudyError for a folder: of patients, or one in which a study lies."""
    if not path.is_dir():
        return
    if (own := path / "study.toml").is_file():
        raise StudyError(f"{path} is a folder. Give the study in it, {own}.")
    raise StudyError(
        f"{path} is a folder, and no study. Where it holds patients, write a study of them by "
        f" roundelay init {path}  and give the file that it writes."
    )


def parse_study(
    text: str,
    *,
    where: str,
    folder: Path,
    data: Path | None = None,
    folds: int | None = None,
    changes: Sequence[str] = (),
) -> Study:
    """Check the text of a study; `where` names it in errors, paths are relative to `folder`."""
    values = parse_toml(text, where, StudyError)
    apply_changes(values, changes, where)
    options = ["--set"] * bool(changes) + ["--folds"] * (folds is not None)
    where += f" with {' and '.join(options)}" * bool(options)
    given = {"root": data and str(data), "folds": folds}
    for key, value in given.items():
        if value is not None and isinstance(values.setdefault("data", {}), dict):
            values["data"][key] = value
    if folds is not None and isinstance(values["data"], dict):
        values["data"].pop("test_fold", None)  # all of them are asked for
    _place(values, "data", "root", bool, "", folder if data is None else Path())
    _place(values, "data", "sites", is_table, TABLE, folder)
    _place(values, "model", "weights", is_file, "", folder)
    return check(Study, values, where, StudyError, RENAMED)


def _place(
    values: dict[str, Any],
    section: str,
    key: str,
    is_path: Callable[[str], Any],
    before: str,
    folder: Path,
) -> None:
    """Make a path in the values absolute: relative to the study's folder, or to home by ``~``."""
    found = values.get(section)
    text = found.get(key) if isinstance(found, dict) else None
    if not (isinstance(found, dict) and isinstance(text, str) and is_path(text)):
        return
    try:
        path = (folder / Path(text.removeprefix(before)).expanduser()).resolve()
    except (ValueError, RuntimeError, OSError) as error:
        raise StudyError(f"{section}.{key} = {text[:SHOWN]!r} is no path here: {error}.") from error
    found[key] = f"{before}{path}"


def to_toml(study: Study) -> str:
    """A study as TOML; read again it gives an equal study."""
    return tomli_w.dumps(study.model_dump(mode="json", exclude_none=True))

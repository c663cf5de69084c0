"""``roundelay init``: a commented study file for a folder of patients."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roundelay.cli import results, show
from roundelay.study.preset import kept_lines, preset_names, preset_text, with_data, with_root

if TYPE_CHECKING:
    from roundelay.data.formats.seen import Seen
    from roundelay.errors import DataError
    from roundelay.site.cohort import Cohort


def init(
    data: Annotated[Path, typer.Argument(help="Folder of the patients.")],
    out: Annotated[Path, typer.Option(help="The study file to write.")] = Path("study.toml"),
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(preset_names())}.")] = "benchmark",
) -> None:
    """Look at a folder, find format and sites, write a commented study.toml."""
    from roundelay.data.formats.recognise import recognise
    from roundelay.errors import DataError, RunFolderError, StudyError
    from roundelay.files.writing import write_text

    if preset not in preset_names():
        raise StudyError(
            f"There is no preset {preset!r}. Choose one of {', '.join(preset_names())}."
        )
    if out.exists():
        raise RunFolderError(f"{out} is there already. Choose another --out.")
    root = data.expanduser().resolve()
    seen = recognise(root)
    try:
        text, cohort = _opened(preset, root, seen)
    except DataError as error:
        if seen is None:
            raise
        text, cohort = _leaving_out(preset, root, seen, error)
    write_text(out, text)
    if seen is not None:
        values = f" Values of masks: {out} says which were met." if "labels" in seen.notes else ""
        show.line(f"Found {seen.said}{values}")
    results.sites(cohort.sites)
    for one in cohort.left_out:
        show.notice(f"Note: {one}")
    show.line(f"Wrote {out}. Next:  roundelay check {out}")


def _leaving_out(preset: str, root: Path, seen: "Seen", error: "DataError") -> "tuple[str, Cohort]":
    """The same without exams that can't be used. Raises `error` where nothing is left, or where it
    is no matter of single exams."""
    from roundelay.errors import DataError

    for fewer in seen.leaving_out():
        try:
            return _opened(preset, root, fewer)
        except DataError:
            continue
    raise error


def _opened(preset: str, root: Path, seen: "Seen | None") -> "tuple[str, Cohort]":
    """The text of a study of what was seen, and its patients. Raises DataError."""
    from roundelay.site.cohort import open_cohort
    from roundelay.study.file import parse_study

    text = preset_text(preset)
    if seen is not None:
        text = with_data(text, seen.as_toml(kept_lines(text)))
    text = with_root(text, root)
    return text, open_cohort(parse_study(text, where=f"preset {preset}", folder=Path()))

"""Tables that people write, export or open: one reader for every spelling of the same rows, and one
writer whose rows a spreadsheet shows and does not run."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from roundelay.errors import DataError
from roundelay.files.text import read_text

LARGEST = 1 << 28
"""Bytes of a table, at most."""

SEPARATORS = ",;\t|"

_SEP = re.compile(r"sep=([,;\t|])\r?\n?", re.IGNORECASE)
"""The first line that Excel writes and reads to name the separator."""


_FULL = re.compile("[\uff1d\uff0b\uff0d\uff20]")
_FORMULA = re.compile("['\\s\0]*[=+@\uff1d\uff0b\uff0d\uff20-]")
_ESCAPED = re.compile("'['\\s\0]*[=+@\uff1d\uff0b\uff0d\uff20-]")
"""What spreadsheets take for the beginning of a formula, some of them wide signs too."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row that isn't blank: its line in the file, and its cells by column."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as they are called in the file, and rows; blanks around a cell are gone."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, *names: str) -> str | None:
        """The column of one of these names, in any case; None where there is none.

        Raises DataError where there are several.
        """
        found = [column for column in self.columns if _key(column) in names]
        if len(found) > 1:
            raise DataError(
                f"{self.path} has the columns {' and '.join(map(repr, found))}, which say the same."
                " Take one of them out."
            )
        return found[0] if found else None


def read_table(path: Path) -> Table:
    """A table of cells between commas, semicolons, tabs or bars, its first row the columns' names.

    Letters are composed (NFC), blank rows passed over, columns without a name ignored. Raises
    DataError naming the line.
    """
    text = read_text(path, DataError, limit=LARGEST)
    given = _SEP.match(text)
    first = text[given.end() if given else 0 :].lstrip("\r\n").splitlines()[:1]
    separator = given[1] if given else _separator(first[0] if first else "")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        found = [(lines.line_num, [_clean(cell) for cell in cells]) for cells in lines]
    except csv.Error as error:
        raise DataError(
            f"{path}, line {lines.line_num}: no table can be read here ({error})."
        ) from error
    rows = [(line, cells) for line, cells in found[1 if given else 0 :] if any(cells)]
    if not rows:
        raise DataError(f"{path} is empty.")
    columns = rows[0][1]
    _refuse_twice(path, columns)
    return Table(
        path,
        tuple(column for column in columns if column),
        tuple(_row(path, line, columns, cells) for line, cells in rows[1:]),
    )


def _row(path: Path, line: int, columns: list[str], cells: list[str]) -> Row:
    if any(cells[len(columns) :]):
        raise DataError(
            f"{path}, line {line} has {len(cells)} cells, the first row {len(columns)}. Put a cell"
            " with a separator in it between double quotes."
        )
    cells = cells + [""] * (len(columns) - len(cells))
    return Row(line, {c: cell for c, cell in zip(columns, cells, strict=False) if c})


def _separator(line: str) -> str:
    """The one that stands most often in the first row, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", line)
    return max(SEPARATORS, key=bare.count)


def _clean(cell: str) -> str:
    text = unicodedata.normalize("NFC", cell).strip()
    return text[1:].strip() if _ESCAPED.match(text) else text


def write_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV with a header. A text that a spreadsheet would run as a formula has an apostrophe
    before it, which `read_table` takes away again; a number stays as it is."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in (columns, *rows):
        writer.writerow([_harmless(cell) for cell in row])
    return text.getvalue()


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str) or not _FORMULA.match(cell.strip()):
        return cell
    try:
        return cell if isfinite(float(cell)) and not _FULL.match(cell) else f"'{cell}"
    except ValueError:
        return f"'{cell}"


def _key(column: str) -> str:
    return re.sub(r"[\s_-]+", "_", column.casefold())


def _refuse_twice(path: Path, columns: list[str]) -> None:
    seen: dict[str, str] = {}
    for column in filter(None, columns):
        if _key(column) in seen:
            raise DataError(
                f"{path} has two columns {seen[_key(column)]!r} and {column!r}. Rename one of them."
            )
        seen[_key(column)] = column


PATIENT = ("patient", "patient_id", "subject", "subject_id", "participant_id")
"""What the column of the patients' names may be called."""

SITE = ("site", "partition", "partition_id")
"""What the column of the sites' names may be called."""


def read_attributes(path: Path) -> dict[str, dict[str, str]]:
    """What a cohort's table says of its patients, by their names; nothing where there is no table.

    Raises DataError, also where two rows of one patient differ.
    """
    if not path.exists():
        return {}
    table = read_table(path)
    named = table.column(*PATIENT)
    if named is None:
        raise DataError(f"{path} has no column 'Patient'.")
    found: dict[str, dict[str, str]] = {}
    for row in table.rows:
        values = {key: value for key, value in row.cells.items() if value and key != named}
        name = row.cells[named]
        if name and found.setdefault(name, values) != values:
            raise DataError(
                f"{path}, line {row.line}: patient {name!r} has another row above that"
                " says something else. Keep one of them."
            )
    return found


def unlike(rows: set[str], patients: set[str], table: str) -> Iterator[tuple[str, str]]:
    """Names that stand on one side alone, each with what is said of it."""
    for name in sorted(rows - patients):
        yield f"Rows of {table} without a folder of that patient, not used", name
    for name in sorted(patients - rows):
        yield f"Patients of whom no row of {table} says anything", name

"""Which sites the study of a folder begins with: those of a table, institutions, or chunks."""

from collections.abc import Iterable, Set
from pathlib import Path

from roundelay.data.formats.listing import list_folder
from roundelay.data.tables import PATIENT, SITE, read_table
from roundelay.errors import DataError
from roundelay.study.sections import TABLE

CHUNKS = 4
"""Sites that are made of patients whom nothing else tells apart."""

HOW_TABLE = (
    f'Which patient stands at which hospital: "{TABLE}FILE.csv" with the columns patient, site and,'
    " if you like, split (train, validation, test)."
)


def sites_of(
    folders: Iterable[Path],
    exams: Set[str],
    persons: Set[str],
    institutions: int,
    *,
    placed: bool = False,
) -> tuple[str, list[str]]:
    """The study's ``sites``, and what to say of it: `exams` and `persons` are whom a table in one
    of the folders may name, `institutions` how many are told by their names or by the list that
    they stand in. `placed`: lists say who trains and who tests, and made-up sites could lack the
    one or the other."""
    said: list[str] = []
    for path, rows in _tables(folders):
        if rows <= exams | persons:
            return f"{TABLE}{path.resolve()}", [f"{path.name} says who stands where.", *said]
        said.append(
            f"{path.name} lies beside, but names {len(rows - exams - persons)} patients who are not"
            " here: take their rows out to use it."
        )
    said.append(HOW_TABLE)
    if institutions > 1:
        return "institution", ["By the institution in the names (TCGA), or a list each.", *said]
    if placed:
        return "institution", ["No names tell hospitals apart: all are at one.", *said]
    if (count := min(CHUNKS, len(persons))) < 2:
        return "institution", ["One patient alone makes one site.", *said]
    return f"chunks:{count}", [
        f"No names tell hospitals apart: {count} made-up ones, until you say more.",
        *said,
    ]


def _tables(folders: Iterable[Path]) -> list[tuple[Path, set[str]]]:
    """Tables of sites in the folders, each with whom it names; partitions first."""
    files = [path for folder in folders for path in list_folder(folder).files]
    found = []
    for path in sorted(files, key=lambda path: ("partition" not in path.name.lower(), path.name)):
        if path.suffix.lower() != ".csv":
            continue
        try:
            table = read_table(path)
            patient, site = table.column(*PATIENT), table.column(*SITE)
        except DataError:
            continue  # a table of something else
        if patient and site:
            found.append((path, {row.cells[patient] for row in table.rows}))
    return found

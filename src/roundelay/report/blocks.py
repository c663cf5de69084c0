"""What a page is made of: sections of text, tables, figures and pictures, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from roundelay.study.names import file_name

LONG = 40
"""Rows of a table that a screen holds."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table. `prose` is set left and may wrap; `colour` puts a dot before the text."""

    text: str
    prose: bool = False
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    kind: ClassVar[str] = "text"
    text: str
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    kind: ClassVar[str] = "list"
    rows: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing. `svg` is as drawn; `key` tells it from others."""

    kind: ClassVar[str] = "figure"
    key: str
    svg: str
    text: str

    @property
    def name(self) -> str:
        """What it is called on the page and as a file."""
        return file_name(self.key).replace(" ", "_")


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG as a data address, with a description for who can't see it."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Pictures:
    kind: ClassVar[str] = "samples"
    rows: Sequence[Picture]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; a plain string is a cell. A `folded` table opens on demand, and so does one of
    more rows than a screen holds."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    folded: bool = False
    small: bool = False

    @property
    def closed(self) -> bool:
        return self.folded or len(self.rows) > LONG


Block = Text | Heading | Items | Figure | Pictures | Table


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page; `sections` without blocks are left out by who builds it."""

    title: str
    answer: Sequence[str]
    sections: Sequence[Section]
    problems: Sequence[str] = field(default=())
    synthetic: bool = False
    running: str = ""


def cells(*texts: str) -> list[Cell]:
    """A row: the first cell is prose, the others figures."""
    return [Cell(texts[0], prose=True), *(Cell(text) for text in texts[1:])]

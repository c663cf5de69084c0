"""Regions told apart in pictures: a colour each, and the strip that says which is whose."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

REGION_COLOURS: tuple[Colour, ...] = (
    (0, 200, 140),
    (240, 228, 66),
    (235, 70, 160),
    (86, 180, 233),
    (213, 94, 0),
    (170, 120, 240),
    (255, 255, 255),
    (150, 90, 60),
)
"""Green, yellow, magenta and so on: unlike any grey, and told apart by colour-blind eyes by their
brightness too. Of more regions they begin again."""


def colour_of_region(number: int) -> Colour:
    """Of the region that stands in that place of the study."""
    return REGION_COLOURS[number % len(REGION_COLOURS)]


def largest_first(masks: NDArray[np.bool_]) -> list[int]:
    """Regions of ``[region, ...]`` in the order in which they are painted: what lies in another one
    stays in sight."""
    sizes = masks.reshape(len(masks), -1).sum(axis=1)
    return sorted(range(len(masks)), key=lambda number: -int(sizes[number]))


def dashed(line: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Every other three pixels of a line ``[row, column]``."""
    rows, columns = np.indices(line.shape)
    return line & ((rows + columns) % 6 < 3)


def legend(
    width: int, said: Sequence[tuple[str, Colour | None]], *, letters: int = 10
) -> NDArray[np.uint8]:
    """A black strip ``[y, width, 3]``: each text, in `letters` of so many pixels, behind a square
    of its colour, or of none."""
    font = ImageFont.load_default(letters)
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    lines: list[list[tuple[int, str, Colour | None]]] = [[]]
    at = letters // 2
    for text, colour in said:
        wide = int(pen.textlength(text, font=font)) + (3 if colour else 2) * letters
        if at + wide > width and lines[-1]:
            lines.append([])
            at = letters // 2
        lines[-1].append((at, text, colour))
        at += wide
    strip = Image.new("RGB", (width, 2 * letters * len(lines)))
    pen = ImageDraw.Draw(strip)
    for row, line in enumerate(lines):
        top = 2 * letters * row + letters // 2
        for left, text, colour in line:
            begin = left + letters * 3 // 2 if colour else left
            if colour:
                pen.rectangle((left, top, left + letters - 1, top + letters - 1), fill=colour)
            middle = top + letters / 2
            pen.text((begin, middle), text, fill=(220, 220, 220), font=font, anchor="lm")
    return np.asarray(strip)

"""Matplotlib figures as inline SVG that follows the page's colours, and as files."""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

INK, FAINT, PAPER = "#1c2127", "#8a929c", "#fdfdfe"
"""Text and lines; lines behind; the ground. Each stands for a colour of the page."""

METHOD_COLOURS = (
    "#2f6fd0",
    "#0f8f8a",
    "#b8620f",
    "#8a55c4",
    "#6a7280",
    "#c43d55",
    "#5d7f1e",
    "#a0487e",
)
"""One a method; each has a contrast of 3 or more on the light and the dark page."""

FILL = 952 / (9.2 * 72)
"""Pixels of the page for a point of a figure: the widest figure fills the page."""

LONGEST = 24
"""Letters of a name in a figure."""

_TAG = re.compile(r"<style.*?</style>|<[^>]*>", re.DOTALL)

_MARKERS = {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)"}

SETTINGS: Any = {
    "text.parse_math": False,  # a hospital may be called A$_$B
    "svg.fonttype": "none",
    "svg.hashsalt": "roundelay",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
}


def draw(width: float, height: float, paint: Callable[[Any], None], **grid: Any) -> str:
    """An SVG of this size in inches; `paint` is given the axes, or the grid of axes.

    The same figure gives the same bytes. Raises nothing of its own.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(SETTINGS), warnings.catch_warnings():
        # The reader's browser has the letters, and writes them from the right where they are so.
        warnings.filterwarnings(
            "ignore", r"Glyph \d+ .*missing from|.* does not support .* natively"
        )
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.subplots(**grid))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def short(name: str) -> str:
    """A name as it fits beside an axis: its beginning and its end."""
    return name if len(name) <= LONGEST else f"{name[:15]}…{name[-8:]}"


def on_page(svg: str, *, label: str, key: str) -> str:
    """The SVG for the page: colours by name, wide as its place, described for who can't see it.

    `key` makes the identifiers within the picture its own.
    """
    svg = _TAG.sub(lambda tag: _of_the_page(tag[0], key), svg)
    head, _, rest = svg.partition(">")
    # A small figure isn't blown up to the page's width: its letters stay as large as all others'.
    width = float(head.split('width="')[1].split("pt")[0]) * FILL
    style = f'style="max-width:{width:.0f}px" role="img" aria-label="{label}"'
    return f"{_without_size(head)} {style}>{rest}"


def _of_the_page(tag: str, key: str) -> str:
    """One tag; what stands between tags is text and stays as it is."""
    for colour, name in _MARKERS.items():
        tag = tag.replace(colour, name)
    tag = tag.replace('id="', f'id="{key}-').replace("url(#", f"url(#{key}-")
    return tag.replace('href="#', f'href="#{key}-')


def _without_size(head: str) -> str:
    attributes = head.replace("\n", " ").split(" ")
    return " ".join(one for one in attributes if not one.startswith(("width=", "height=")))

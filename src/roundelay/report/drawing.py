"""Matplotlib figures as inline SVG that follows the page's colours, and as files."""

import io
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

_MARKERS = {INK: "var(--ink)", FAINT: "var(--faint)", PAPER: "var(--paper)"}

SETTINGS: Any = {
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

    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.subplots(**grid))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def on_page(svg: str, *, label: str, key: str) -> str:
    """The SVG for the page: colours by name, wide as its place, described for who can't see it.

    `key` makes the identifiers within the picture its own.
    """
    for colour, name in _MARKERS.items():
        svg = svg.replace(colour, name)
    svg = svg.replace('id="', f'id="{key}-').replace("url(#", f"url(#{key}-")
    svg = svg.replace('href="#', f'href="#{key}-')
    head, _, rest = svg.partition(">")
    # A small figure isn't blown up to the page's width: its letters stay as large as all others'.
    width = float(head.split('width="')[1].split("pt")[0]) * FILL
    style = f'style="max-width:{width:.0f}px" role="img" aria-label="{label}"'
    return f"{_without_size(head)} {style}>{rest}"


def _without_size(head: str) -> str:
    attributes = head.replace("\n", " ").split(" ")
    return " ".join(one for one in attributes if not one.startswith(("width=", "height=")))

"""Contours of prediction and reference over a patient's slices, as radiologists look at them.

The patient's right is on the left, and a millimetre is as long down as across. A prediction is
orange and a reference blue; of several regions each has a colour of its own.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from roundelay.report.greys import Grey
from roundelay.report.region_colours import (
    Colour,
    colour_of_region,
    dashed,
    largest_first,
    legend,
)

PREDICTION, REFERENCE = (255, 176, 0), (100, 143, 255)
"""Orange and blue: told apart by colour-blind eyes, and unlike any grey."""

COLUMNS = 6

MOST = 60
"""Slices on a sheet: of more, every second or every third is shown."""

SIDE, GAP = 224, 4
"""Pixels of a panel, and between two."""

Box = tuple[int, int, int, int]


def draw_sheet(
    title: str,
    grey: Grey,
    marked: NDArray[np.bool_],
    reference: NDArray[np.bool_] | None,
    *,
    names: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """The slices of a patient with the contours of prediction and (if any) reference, both bool
    ``[region, slice, row, column]``; `names` are the regions', where there are several."""
    height, width = grey.shown_size
    step = -(-len(grey.slices) // MOST)
    shown = range(0, len(grey.slices), step)
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, 24 + rows * height))
    pen = ImageDraw.Draw(sheet)
    pen.text((6, 6), title if step == 1 else f"{title} (one slice in {step})", fill="white")
    if len(names) < 2:
        pen.text((COLUMNS * width - 220, 6), "prediction", fill=PREDICTION)
        if reference is not None:
            pen.text((COLUMNS * width - 120, 6), "reference", fill=REFERENCE)
    for place, number in enumerate(shown):
        tile = _tile(grey, number, marked, reference)
        corner = (place % COLUMNS) * width, 24 + (place // COLUMNS) * height
        sheet.paste(Image.fromarray(tile), corner)
        pen.text((corner[0] + 6, corner[1] + 4), str(number + 1), fill=(160, 160, 160))
    if len(names) < 2:
        return np.asarray(sheet)
    said = "prediction" if reference is None else "prediction; dashed: reference"
    strip = legend(sheet.width, [*_colours(names), (said, None)])
    return np.concatenate([np.asarray(sheet)[:24], strip, np.asarray(sheet)[24:]])


def _colours(names: Sequence[str]) -> list[tuple[str, Colour | None]]:
    return [(name, colour_of_region(number)) for number, name in enumerate(names)]


def _tile(
    grey: Grey, number: int, marked: NDArray[np.bool_], reference: NDArray[np.bool_] | None
) -> NDArray[np.uint8]:
    tile = np.repeat(grey.shown(grey.slices[number])[..., None], 3, axis=-1)
    several = len(marked) > 1
    for masks, colour in ((reference, REFERENCE), (marked, PREDICTION)):
        if masks is None:
            continue
        for region in largest_first(masks[:, number]):
            line = contour(grey.shown(masks[region, number]))
            line = dashed(line) if several and masks is reference else line
            tile[line] = colour_of_region(region) if several else colour
    return tile


def contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of a mask: those with a neighbour (of four) outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def draw_panels(
    grey: NDArray[np.uint8],
    reference: NDArray[np.bool_],
    marked: NDArray[np.bool_],
    box: Box,
    *,
    names: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """One slice, reference, prediction, and both contours on it, side by side ``[y, x, 3]``.

    The masks are ``[region, row, column]``; `names` are the regions', where there are several: they
    are painted in their own colours, and a strip below says which.
    """
    plain = _panel(np.repeat(grey[..., None], 3, axis=-1), box)
    panels = [plain]
    both = plain.copy()
    for masks, colour in ((reference, REFERENCE), (marked, PREDICTION)):
        panel = plain.copy()
        for region in largest_first(masks):
            inside = _mask_panel(masks[region], box)
            own = np.array(colour_of_region(region) if len(masks) > 1 else colour)
            panel[inside] = (0.45 * plain[inside] + 0.55 * own).astype(np.uint8)
            both[contour(inside)] = colour
        panels.append(panel)
    picture = np.concatenate(_spaced([*panels, both]), axis=1)
    if len(names) < 2:
        return picture
    contours = [("contour of the reference", REFERENCE), ("of the prediction", PREDICTION)]
    said = [*_colours(names), *contours]
    return np.concatenate([picture, legend(picture.shape[1], said, letters=18)])


def _spaced(panels: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    gap = np.zeros((SIDE, GAP, 3), np.uint8)
    return [piece for panel in panels for piece in (panel, gap)][:-1]


def _mask_panel(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    shape = _panel(np.repeat(mask[..., None], 3, axis=-1).astype(np.uint8) * 255, box) > 127
    inside: NDArray[np.bool_] = shape[..., 0]
    return inside


def _panel(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    cropped = Image.fromarray(picture).crop(box)
    return np.asarray(cropped.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

"""Contours of prediction and reference over a patient's slices."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

PREDICTION, REFERENCE = (255, 176, 0), (100, 143, 255)
"""Orange and blue: told apart by colour-blind eyes, and unlike any grey."""

COLUMNS = 6

FLAIR = 1

SIDE, GAP = 224, 4
"""Pixels of a panel, and between two."""


def draw_sheet(
    title: str,
    images: NDArray[np.uint8],
    marked: NDArray[np.bool_],
    reference: NDArray[np.bool_] | None,
) -> NDArray[np.uint8]:
    """All slices of a patient, FLAIR, with the contours of prediction and (if any) reference."""
    height, width = images.shape[1:3]
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, 24 + rows * height))
    pen = ImageDraw.Draw(sheet)
    pen.text((6, 6), title, fill="white")
    pen.text((COLUMNS * width - 220, 6), "prediction", fill=PREDICTION)
    if reference is not None:
        pen.text((COLUMNS * width - 120, 6), "reference", fill=REFERENCE)
    for i, image in enumerate(images):
        tile = np.repeat(image[..., FLAIR : FLAIR + 1], 3, axis=-1)
        if reference is not None:
            tile[contour(reference[i])] = REFERENCE
        tile[contour(marked[i])] = PREDICTION
        corner = (i % COLUMNS) * width, 24 + (i // COLUMNS) * height
        sheet.paste(Image.fromarray(tile), corner)
        pen.text((corner[0] + 6, corner[1] + 4), str(i + 1), fill=(160, 160, 160))
    return np.asarray(sheet)


def contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of a mask: those with a neighbour (of four) outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def draw_panels(
    image: NDArray[np.uint8],
    reference: NDArray[np.bool_],
    marked: NDArray[np.bool_],
    box: tuple[int, int, int, int],
) -> NDArray[np.uint8]:
    """FLAIR, reference, prediction, and both contours on FLAIR, side by side ``[y, x, 3]``."""
    grey = np.repeat(image[..., FLAIR : FLAIR + 1], 3, axis=-1)
    plain = _panel(grey, box)
    panels = [plain]
    both = plain.copy()
    for mask, colour in ((reference, REFERENCE), (marked, PREDICTION)):
        shape = _panel(np.repeat(mask[..., None], 3, axis=-1).astype(np.uint8) * 255, box) > 127
        inside = shape[..., 0]
        panel = plain.copy()
        panel[inside] = (0.45 * panel[inside] + 0.55 * np.array(colour)).astype(np.uint8)
        panels.append(panel)
        both[contour(inside)] = colour
    return np.concatenate(_spaced([*panels, both]), axis=1)


def _spaced(panels: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    gap = np.zeros((SIDE, GAP, 3), np.uint8)
    return [piece for panel in panels for piece in (panel, gap)][:-1]


def _panel(picture: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    cropped = Image.fromarray(picture).crop(box)
    return np.asarray(cropped.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

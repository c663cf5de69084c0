"""Contours of prediction and reference over a patient's slices."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

PREDICTION, REFERENCE = (255, 176, 0), (100, 143, 255)
"""Orange and blue: told apart by colour-blind eyes, and unlike any grey."""

COLUMNS = 6

FLAIR = 1


def draw_sheet(
    path: Path,
    title: str,
    images: NDArray[np.uint8],
    marked: NDArray[np.bool_],
    reference: NDArray[np.bool_] | None,
) -> None:
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
    sheet.save(path)


def contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost pixels of a mask: those with a neighbour (of four) outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner

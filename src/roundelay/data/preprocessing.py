"""From a slice to what the network sees: a square of the patient, and a common grey scale.

Slices of 8 bits stay 8 bits until a batch is made. All others are put on the common scale here and
kept in half precision: a z-score needs no more, and an exam's own numbers may be of any size.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roundelay.data.head import head_of, inner_of
from roundelay.data.levels import levels_of
from roundelay.data.resampling import Square, centred, pixels_of, resized
from roundelay.data.volumes import Volume
from roundelay.study.data_section import Data

MARGIN = 4
"""Pixels left around the brain."""

FURTHEST = 100.0
"""Standard deviations, or ranges: a grey level that far from the others is none, and what a network
computes with it is as far from all it knows."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How slices are shown to the network; travels in the model file. `spacing` is in millimetres a
    pixel; without it the square is as large as the image, or as the head. `neighbours` is how many
    slices to either side are shown as further channels (2.5-D)."""

    intensity: str
    crop: str
    size: int
    spacing: float | None = None
    neighbours: int = 0

    def seen_with(self, number: int, slices: int) -> list[int]:
        """The slices that the network sees for one: itself, then the nearest below and above, and
        so on; at either end the last one again."""
        around = [n for far in range(1, self.neighbours + 1) for n in (number - far, number + far)]
        return [min(max(n, 0), slices - 1) for n in (number, *around)]


def preprocessing_of(data: Data) -> Preprocessing:
    """How a study's slices are shown to its networks."""
    return Preprocessing(
        data.intensity, data.crop, data.size, spacing=data.spacing, neighbours=data.neighbours
    )


@dataclass(frozen=True)
class CropGeometry:
    """A patient's square (top, left, height, width in the image's pixels; it may reach over the
    edge, and is no square in pixels where these are none) and scale, by channel. Where millimetres
    a pixel are asked for, the square is seldom of whole pixels: `exact` says where it lies then,
    and the other four which pixels have their middle in it."""

    top: int
    left: int
    height: int
    width: int
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    exact: Square | None = None

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """left, upper, right, lower: as Pillow crops."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def geometry_of(volume: Volume, preprocessing: Preprocessing) -> CropGeometry:
    """The geometry of one patient from all its slices."""
    images = volume.slices
    inside = head_of(images)
    pixel = volume.spacing[1:] if volume.spacing else (1.0, 1.0)
    square = square_of(inside, preprocessing, pixel)
    exact = None if all(isinstance(n, int) for n in square) else square
    if preprocessing.intensity == "zscore_inner":
        inside = inner_of(inside)
    brain = images[inside] if inside.any() else images.reshape(-1, images.shape[-1])
    if preprocessing.intensity == "percentile":
        low, high = np.percentile(brain, (1, 99), axis=0)
        offset, scale = low, high - low
    else:
        offset, scale = levels_of(brain)
    # A channel that is one grey level: no division by nothing. Other numbers have no least step.
    bits = images.dtype == np.uint8
    scale = np.maximum(scale, 1.0) if bits else np.where(scale > 0, scale, 1.0)
    levels = tuple(map(float, offset)), tuple(map(float, scale))
    return CropGeometry(*in_pixels(square), *levels, exact=exact)


def square_of(
    inside: NDArray[np.bool_], preprocessing: Preprocessing, pixel: tuple[float, ...]
) -> Square:
    """Top, left, height, width of the patient's square, where the head is `inside` ``[slice, row,
    column]``; integers where it is of whole pixels. `pixel` is its height and width in millimetres,
    or any unit."""
    shape, unit = inside.shape[1:], min(pixel)
    ratio = [side / unit for side in pixel]
    first, last, side = _extent(inside, preprocessing.crop == "brain", ratio)
    if preprocessing.spacing is None:
        sides = [float(max(round(side / r), 1)) for r in ratio]
    else:
        sides = [preprocessing.size * preprocessing.spacing / own for own in pixel]
    first, last = first or (0, 0), last or (shape[0] - 1, shape[1] - 1)
    (top, height), (left, width) = map(centred, first, last, sides)
    return top, left, height, width


def in_pixels(square: Square) -> tuple[int, int, int, int]:
    """Top, left, height, width of the pixels whose middle lies in a square."""
    top, left, height, width = square
    (first, rows), (leftmost, columns) = pixels_of(top, height), pixels_of(left, width)
    return first, leftmost, rows, columns


Ends = tuple[int, int] | None


def _extent(inside: NDArray[np.bool_], crop: bool, ratio: list[float]) -> tuple[Ends, Ends, float]:
    """The first and the last row and column of the brain (None for the whole image), and the side
    of a square around them. Rows and columns with less than 0.5 % of brain are noise."""
    slices, height, width = inside.shape
    whole = max(height * ratio[0], width * ratio[1])
    if not crop or not inside.any():
        return None, None, whole
    rows = np.flatnonzero(inside.sum(axis=(0, 2)) > 0.005 * slices * width)
    columns = np.flatnonzero(inside.sum(axis=(0, 1)) > 0.005 * slices * height)
    if not len(rows) or not len(columns):
        return None, None, whole
    first, last = (int(rows[0]), int(columns[0])), (int(rows[-1]), int(columns[-1]))
    longest = max((b - a) * r for a, b, r in zip(first, last, ratio, strict=True))
    return first, last, min(longest + 1 + 2 * MARGIN, whole)


def cut_slice(image: NDArray[Any], geometry: CropGeometry, size: int) -> NDArray[Any]:
    """Cut the patient's square out of a slice ``[row, column, channel]`` and resize it.

    8 bits, of which nobody knows millimetres, stay 8 bits, with 0 beyond the edge; other numbers
    come back on the common scale, as float16, and beyond the edge goes on what stands there.
    """
    if image.dtype == np.uint8:
        square = Image.fromarray(image).crop(geometry.box)
        if square.size != (size, size):
            square = square.resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(square)
    planes = [_cut_plane(image[..., n], geometry, size) for n in range(image.shape[-1])]
    scaled = (np.stack(planes, axis=-1) - np.array(geometry.offset)) / np.array(geometry.scale)
    half: NDArray[np.float16] = np.clip(scaled, -FURTHEST, FURTHEST).astype(np.float16)
    return half


def cut_mask(mask: NDArray[np.bool_], geometry: CropGeometry, size: int) -> NDArray[np.bool_]:
    """The square of a mask ``[row, column]``: what is covered by half or more."""
    if geometry.exact:
        # What lies beyond the edge is no tumour, whatever stands at the edge.
        half: NDArray[np.bool_] = resized(np.pad(mask, 1), _shifted(geometry.exact), size) >= 0.5
        return half
    found: NDArray[np.bool_] = (
        cut_slice(mask.astype(np.uint8) * np.uint8(255), geometry, size) > 127
    )
    return found


def _shifted(square: Square) -> Square:
    """The same square where a row stands above and a column to the left."""
    top, left, height, width = square
    return top + 1, left + 1, height, width


def _cut_plane(plane: NDArray[Any], geometry: CropGeometry, size: int) -> NDArray[np.float32]:
    if geometry.exact:
        return resized(plane, geometry.exact, size)
    rows = np.arange(geometry.top, geometry.top + geometry.height).clip(0, len(plane) - 1)
    columns = np.arange(geometry.left, geometry.left + geometry.width).clip(0, plane.shape[1] - 1)
    square = Image.fromarray(plane[np.ix_(rows, columns)].astype(np.float32))
    if square.size != (size, size):
        square = square.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(square)

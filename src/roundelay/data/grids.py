"""Where the voxels of an exam lie: from the file's own axes to slices as radiologists see them.

Millimetres are RAS+ as in NIfTI: to the patient's right is drawn on the left, the face is up.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.errors import DataError
from roundelay.study.data_section import Plane

SEEN: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "axial": ((2, 1), (1, -1), (0, -1)),
    "coronal": ((1, 1), (2, -1), (0, -1)),
    "sagittal": ((0, -1), (2, -1), (1, -1)),
}
"""Along which axis of the body (0 right, 1 anterior, 2 superior), and in which direction, slices
follow one another, rows go down and columns go to the right."""

SHEAR = 1e-3
"""Cosine between two axes from which they count as sheared."""

THICKER = 1.05
"""How much longer than the others a voxel must be along the axis of the slices."""

Affine = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A file's `shape` and `affine` (4 x 4, its indices to millimetres, RAS+), and how slices are
    cut from it: `axes` are those of the file that are slice, row and column, `flipped` those three
    that run against it."""

    shape: tuple[int, int, int]
    affine: Affine
    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres from slice to slice, row to row, column to column."""
        sizes = voxel_sizes(np.array(self.affine))
        slice_, row, column = (float(sizes[axis]) for axis in self.axes)
        return slice_, row, column

    def to_slices(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array in the file's axes as ``[slice, row, column]``; no voxel changes."""
        seen = array.transpose(self.axes)
        return seen[tuple(slice(None, None, -1 if f else 1) for f in self.flipped)]

    def to_file(self, slices: NDArray[Any]) -> NDArray[Any]:
        """``[slice, row, column]`` back in the file's axes: undoes `to_slices` exactly."""
        back = slices[tuple(slice(None, None, -1 if f else 1) for f in self.flipped)]
        return back.transpose(np.argsort(self.axes))


def grid_of(shape: tuple[int, ...], affine: NDArray[np.float64], plane: Plane, where: str) -> Grid:
    """The grid of a 3-D file; `plane` ``auto`` follows the longest side of a voxel, axial where
    they are alike. Raises DataError where the affine is no place in a body."""
    _refuse_odd(affine, where)
    directions = affine[:3, :3] / voxel_sizes(affine)
    body = _axes_of_body(directions)
    if plane == "auto":
        plane = _thickest(voxel_sizes(affine), body)
    axes, flipped = [], []
    for axis, sense in SEEN[plane]:
        own = body.index(axis)
        axes.append(own)
        flipped.append(bool(np.sign(directions[axis, own]) != sense))
    return Grid(
        (shape[0], shape[1], shape[2]),
        tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine),
        (axes[0], axes[1], axes[2]),
        (flipped[0], flipped[1], flipped[2]),
    )


def voxel_sizes(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Millimetres along each axis of the file."""
    sizes: NDArray[np.float64] = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return sizes


def same_place(
    shape: tuple[int, ...], first: NDArray[np.float64], second: NDArray[np.float64]
) -> bool:
    """Whether two affines put every corner of a volume on one spot, to a hundredth of a voxel."""
    return corner_distance(shape, first, second) <= 0.01 * float(voxel_sizes(first).min())


def corner_distance(
    shape: tuple[int, ...], first: NDArray[np.float64], second: NDArray[np.float64]
) -> float:
    """Millimetres between the two places of a corner, the largest of all eight."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape[:3]) - 1)
    apart = np.c_[corners, np.ones(8)] @ (first - second).T
    return float(np.linalg.norm(apart[:, :3], axis=1).max())


def _refuse_odd(affine: NDArray[np.float64], where: str) -> None:
    if not np.isfinite(affine).all() or not (voxel_sizes(affine) > 0).all():
        raise DataError(
            f"{where} says nothing that can be of where its voxels lie (its affine holds zeros or"
            " no numbers). Write it anew from its source."
        )
    directions = affine[:3, :3] / voxel_sizes(affine)
    cosines = directions.T @ directions - np.eye(3)
    if (most := float(np.abs(cosines).max())) > SHEAR:
        raise DataError(
            f"The axes of {where} do not stand at right angles (cosine {most:.3f}): it is sheared,"
            " and neither slices nor millimetres are what they seem. Resample it onto straight axes"
            " first."
        )


def _axes_of_body(directions: NDArray[np.float64]) -> list[int]:
    """For each axis of the file the axis of the body that it is nearest to, each taken once."""
    left, found = np.abs(directions).copy(), [0, 0, 0]
    for _ in range(3):
        body, own = (int(n) for n in np.unravel_index(left.argmax(), (3, 3)))
        found[own] = body
        left[body, :] = left[:, own] = -1
    return found


def _thickest(sizes: NDArray[np.float64], body: list[int]) -> Plane:
    longest = int(sizes.argmax())
    others = max(float(size) for axis, size in enumerate(sizes) if axis != longest)
    if sizes[longest] < THICKER * others:
        return "axial"
    plane: Plane = "sagittal" if body[longest] == 0 else "coronal"
    return "axial" if body[longest] == 2 else plane

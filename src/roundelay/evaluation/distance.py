"""The 95th percentile Hausdorff distance between the surfaces of two masks."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from roundelay.evaluation.dice import Mask, check_masks

Points = NDArray[np.float64]


def hd95(prediction: Mask, reference: Mask, spacing: Sequence[float] | None = None) -> float:
    """95th percentile Hausdorff distance of two boolean masks of one shape.

    The masks are ``[slices, height, width]``, or ``[height, width]``; `spacing` is the size of a
    voxel along the same axes. With spacing in mm the distance is in mm. Without it, a voxel
    counts as one pixel long along every axis: where the thickness of a slice is not known (the
    LGG set), such a distance across slices is doubtful, and it must be named pixels.

    From every surface voxel of one mask to the nearest of the other, the 95th percentile
    (linear between two values), then the larger of the two directions. A surface voxel is a
    voxel of the mask with a face to the outside or to the border of the volume.

    Both masks empty: 0. One empty: there is no distance, the diagonal of the volume stands for
    it (so does BraTS: 373.13 for 240 x 240 x 155 voxels of 1 mm).

    Source: the definition, to 1e-5, of MONAI 1.6, ``compute_hausdorff_distance(percentile=95)``.
    Pooling both directions, or weighting by area, gives other numbers.
    """
    check_masks(prediction, reference)
    size = voxel_size(prediction.ndim, spacing)
    if not prediction.any() or not reference.any():
        both_empty = not prediction.any() and not reference.any()
        return 0.0 if both_empty else diagonal(prediction.shape, spacing)

    box = _box(prediction | reference)
    marked = np.argwhere(_surface(prediction[box])) * size
    meant = np.argwhere(_surface(reference[box])) * size
    return max(_directed(marked, meant), _directed(meant, marked))


def diagonal(shape: Sequence[int], spacing: Sequence[float] | None = None) -> float:
    """Corner to corner of a volume of that many voxels, in the unit of `spacing`, else pixels."""
    return float(np.linalg.norm(np.asarray(shape) * voxel_size(len(shape), spacing)))


def voxel_size(axes: int, spacing: Sequence[float] | None) -> Points:
    """`spacing` as an array, ones where there is none; `ValueError` unless one length an axis."""
    if spacing is None:
        return np.ones(axes)
    if len(spacing) != axes or not all(isfinite(length) and length > 0 for length in spacing):
        raise ValueError(
            f"spacing {tuple(spacing)} must be {axes} lengths above 0, one for each axis"
        )
    return np.asarray(spacing, dtype=np.float64)


def _directed(start: Points, goal: Points) -> float:
    # A tree over surface points costs what the surfaces cost. A distance transform costs what
    # the box costs, and one stray voxel in a corner makes the box the whole volume.
    from scipy.spatial import KDTree

    distances, _ = KDTree(goal, leafsize=32).query(start)
    return float(np.percentile(distances, 95))


def _surface(mask: Mask) -> Mask:
    """The voxels that an erosion across faces takes away, the border of the array included."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        kept, old = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        kept[0] = kept[-1] = False
        kept[1:] &= old[:-1]
        kept[:-1] &= old[1:]
    return mask & ~inner


def _box(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds the whole mask, which is not empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        held = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(held[0]), int(held[-1]) + 1))
    return tuple(box)

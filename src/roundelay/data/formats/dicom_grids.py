"""The channels of a DICOM exam as one array: on the grid of its first series, of one type."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.dicom_series import Series
from roundelay.data.grids import corner_distance, same_place
from roundelay.data.image_settings import ImageSettings
from roundelay.errors import DataError

RESAMPLE = "resample"


def on_grid(
    own: Series, voxels: NDArray[Any], leading: Series, settings: ImageSettings
) -> NDArray[Any]:
    """A channel's voxels on the grid of the exam. Raises DataError where they lie elsewhere."""
    alike = own.shape == leading.shape
    if alike and same_place(leading.shape, leading.affine, own.affine):
        return voxels
    if settings.align == RESAMPLE:
        return _resampled(voxels, own, leading)
    how = f"they have {own.shape} and {leading.shape} slices, rows and columns"
    if alike:
        apart = corner_distance(leading.shape, leading.affine, own.affine)
        how = f"a corner is {apart:.2f} mm away"
    raise DataError(
        f"{own.where} and {leading.where} are not on one grid: {how}. Channels of an exam must be;"
        ' align = "resample" in [data] brings them onto that of the reference.'
    )


def _resampled(voxels: NDArray[Any], own: Series, leading: Series) -> NDArray[np.float32]:
    """A channel of another grid, linear between voxels; beyond its edge 0."""
    from scipy.ndimage import affine_transform

    there = np.linalg.inv(own.affine) @ leading.affine
    found: NDArray[np.float32] = affine_transform(
        voxels.astype(np.float32), there[:3, :3], there[:3, 3], leading.shape, order=1
    )
    return found


def of_one_type(channels: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """All of the smallest type that holds each of them: integers stay what they are."""
    kept = [channel for channel in channels if channel.any()] or channels
    kind = np.result_type(*(channel.dtype for channel in kept))
    kind = kind if kind.itemsize <= 4 else np.dtype(np.float32)
    return [channel.astype(kind.newbyteorder("="), copy=False) for channel in channels]

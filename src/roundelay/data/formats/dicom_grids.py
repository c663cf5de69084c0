"""The channels of a DICOM exam as one array: on the grid of its first series, of one type."""

from typing import Any

from numpy.typing import NDArray

from roundelay.data.formats.dicom_series import Series
from roundelay.data.formats.one_grid import resampled
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
        return resampled(voxels, own.affine, leading.affine, leading.shape)
    how = f"they have {own.shape} and {leading.shape} slices, rows and columns"
    if alike:
        apart = corner_distance(leading.shape, leading.affine, own.affine)
        how = f"a corner is {apart:.2f} mm away"
    raise DataError(
        f"{own.where} and {leading.where} are not on one grid: {how}. Channels of an exam must be;"
        ' align = "resample" in [data] brings them onto that of the reference.'
    )

"""The grey levels of a DICOM series, rescaled as its headers say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.dicom_header import Header, quiet
from roundelay.data.formats.dicom_series import Series
from roundelay.data.left_out import refuse
from roundelay.errors import DataError


def voxels_of(series: Series, datasets: Mapping[Path, Any]) -> NDArray[Any]:
    """The grey levels ``[slice, row, column]``, rescaled as headers say; integers stay integers.

    `datasets` are the files as pydicom has them. Raises DataError naming every faulty one.
    """
    found: list[NDArray[Any]] = []
    faults: list[str] = []
    for header in series.slices:
        try:
            found.append(_pixels(header, datasets[header.path]))
        except DataError as error:
            faults += error.faults
    refuse(faults)
    stacked = np.stack(found)
    return _smallest(stacked) if stacked.dtype == np.int64 else stacked


def _pixels(header: Header, dataset: Any) -> NDArray[Any]:
    """One slice or frame. A slope of 1 leaves integers; without intercept, of the file's type."""
    try:
        with quiet():
            pixels: NDArray[Any] = dataset.pixel_array
            if header.frame is None:
                slope = float(dataset.get("RescaleSlope", None) or 1)
                intercept = float(dataset.get("RescaleIntercept", None) or 0)
            else:
                pixels = pixels.reshape(-1, *pixels.shape[-2:])[header.frame]
                slope, intercept = header.placed[0].slope, header.placed[0].intercept
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise DataError(
            f"The pixels of {header.path} can't be read ({error}): truncated or damaged? Export it"
            " anew."
        ) from error
    if pixels.shape != (header.rows, header.columns):
        raise DataError(f"{header.path} holds {pixels.shape} pixels, and says otherwise.")
    if slope == 1 and intercept == 0:
        return pixels
    if slope == 1 and intercept.is_integer() and pixels.dtype.kind in "iu":
        return pixels.astype(np.int64) + int(intercept)
    return (pixels * slope + intercept).astype(np.float32)


def _smallest(voxels: NDArray[np.int64]) -> NDArray[Any]:
    low, high = int(voxels.min()), int(voxels.max())
    return voxels.astype(np.int16 if low >= -32768 and high <= 32767 else np.int32)

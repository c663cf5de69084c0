"""A reference drawn on a DICOM series: a segmentation, contours, or a NIfTI mask, voxel on voxel.

Whatever it is stored as, its values are put where their millimetres say, not by their order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.dicom_header import is_dicom, quiet, read_whole
from roundelay.data.formats.dicom_labels import labels_in
from roundelay.data.formats.dicom_names import Names, refuse_misnamed, regions_by_name
from roundelay.data.formats.dicom_seg import MAKER
from roundelay.data.formats.dicom_series import RAS, Series
from roundelay.data.formats.nifti_file import read_file
from roundelay.data.grids import voxel_sizes
from roundelay.data.image_settings import ImageSettings
from roundelay.data.left_out import refuse
from roundelay.data.regions import regions_and_values, whole_numbers
from roundelay.errors import DataError

OFF = 0.05
"""Voxels that a mask's voxel, or a contour's plane, may lie beside one of the series."""

TIE = 1e-3
"""Pixels by which contours are moved up and to the left. Many are drawn through centres: so a
centre on the first edge is inside and one on the last is not, whatever rounding made of it."""

Layer = tuple[int, NDArray[np.bool_]]
"""A value, and where it is in a series, ``[slice, row, column]``."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a reference holds, what its numbers are called, and whether Roundelay wrote it."""

    layers: Sequence[Layer]
    names: Names = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """The study's regions, bool ``[region, slice, row, column]`` in the axes of the series, and the
    values met, as the study numbers them."""

    regions: NDArray[np.bool_]
    values: tuple[int, ...]


def reference_of(path: Path, series: Series, settings: ImageSettings) -> Reference:
    """What is drawn on a series; segments and contours may overlap.

    Raises DataError, also for a value that the study doesn't name, and for one that is called as
    another region than the study's numbers say.
    """
    drawn, met = _drawn(path, series), set[int]()
    regions = np.zeros((len(settings.regions), *series.shape), bool)
    if drawn.ours:
        own = regions_by_name(drawn.names, settings, str(path))
        for number, where in drawn.layers:
            regions[own[number]] |= where
            met |= {*settings.regions[own[number]][1]}
        return Reference(regions, tuple(sorted(met)))
    refuse_misnamed(drawn.names, settings, str(path))
    faults: list[str] = []
    for value, where in drawn.layers:
        try:
            found, values = regions_and_values(where * np.int64(value), settings, str(path))
            regions |= found
            met |= {*values}
        except DataError as error:
            faults += error.faults
    refuse(faults)
    return Reference(regions, tuple(sorted(met)))


def _drawn(path: Path, series: Series) -> Drawn:
    if not is_dicom(path):
        return Drawn(list(_of_nifti(path, series)))
    header, dataset = read_whole(path)
    names = labels_in(header, dataset)
    try:
        with quiet():
            ours = header.kind == "seg" and dataset.get("ManufacturerModelName") == MAKER
            read = _of_segments if header.kind == "seg" else _of_contours
            return Drawn(list(read(path, dataset, series)), names, ours)
    except DataError:
        raise
    except Exception as error:  # a damaged file makes pydicom and decoders raise nearly anything
        raise DataError(
            f"{path} can't be read as a reference ({error}): truncated or damaged? Export it anew."
        ) from error


def _of_nifti(path: Path, series: Series) -> Iterator[Layer]:
    file = read_file(path)
    if len(file.shape) != 3:
        raise DataError(f"The mask {path} has {len(file.shape)} axes; expected 3.")
    labels = whole_numbers(file.labels(), str(path))
    there = _steps(file.affine, series, path)
    if sorted(file.shape) != sorted(series.shape):
        raise _elsewhere(path, series, f"it has {_size(file.shape)} voxels")
    yield from _by_value(labels, there, series, path)


def _of_segments(path: Path, dataset: Any, series: Series) -> Iterator[Layer]:
    """The frames of a segmentation; a binary one has a frame a segment and slice."""
    kind = str(dataset.get("SegmentationType"))
    if kind not in ("BINARY", "LABELMAP"):
        raise DataError(
            f"{path} is a segmentation of the kind {kind}: shares of voxels, no mask. Export a"
            " binary one."
        )
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    found: dict[int, NDArray[np.bool_]] = {}
    for pixels, own in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        if not pixels.any():
            continue
        _refuse_coarse(own, shared, series, path)
        there = _steps(_affine_of_frame(own, shared, series), series, path)
        number = 1
        if kind == "BINARY":
            number = int(_group(own, shared, "SegmentIdentification").ReferencedSegmentNumber)
        labels = pixels.astype(np.int64)[None] * number
        for value, where in _by_value(labels, there, series, path):
            found[value] = where | found.get(value, False)
    yield from sorted(found.items())


def _affine_of_frame(own: Any, shared: Any, series: Series) -> NDArray[np.float64]:
    measures = _group(own, shared, "PixelMeasures")
    place = _group(own, shared, "PlanePosition").ImagePositionPatient
    orientation = _group(own, shared, "PlaneOrientation").ImageOrientationPatient
    along_row, along_column = np.array(orientation, dtype=float).reshape(2, 3)
    normal = RAS @ np.cross(along_row, along_column)
    affine = np.eye(4)
    # How thick frames are said to be is no matter: each says where it lies.
    affine[:3, 0] = normal / np.abs(np.linalg.inv(series.affine[:3, :3]) @ normal).max()
    affine[:3, 1] = RAS @ along_column * float(measures.PixelSpacing[0])
    affine[:3, 2] = RAS @ along_row * float(measures.PixelSpacing[1])
    affine[:3, 3] = RAS @ np.array(place, dtype=float)
    return affine


def _refuse_coarse(own: Any, shared: Any, series: Series, path: Path) -> None:
    """Frames further apart than slices would leave holes; what they say may be wrong by a gap."""
    measures = _group(own, shared, "PixelMeasures")
    said = [measures.get(name) for name in ("SpacingBetweenSlices", "SliceThickness")]
    apart = min((float(number) for number in said if number), default=0.0)
    if apart > 1.5 * float(voxel_sizes(series.affine)[0]):
        raise _elsewhere(path, series, f"its frames are {apart:.3g} mm thick")


def _group(own: Any, shared: Any, name: str) -> Any:
    name = f"{name}Sequence"
    return (own if name in own else shared)[name][0]


def _of_contours(path: Path, dataset: Any, series: Series) -> Iterator[Layer]:
    """Closed contours; a pixel belongs to one where its centre lies in it, and not in its hole."""
    back = np.linalg.inv(series.affine)
    for region in dataset.get("ROIContourSequence") or ():
        where, number = np.zeros(series.shape, bool), int(region.ReferencedROINumber)
        for contour in region.get("ContourSequence") or ():
            kind = str(contour.get("ContourGeometricType"))
            if kind not in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
                raise DataError(
                    f"Contour number {number} of {path} is of the kind {kind}, which encloses"
                    " nothing. Keep closed contours alone."
                )
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3) @ RAS
            places = points @ back[:3, :3].T + back[:3, 3]
            slice_ = _slice_of(places[:, 0], series, path)
            where[slice_] ^= fill(places[:, 1:], series.shape[1:])
        yield number, where


def fill(corners: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Bool ``[row, column]`` of a polygon with corners ``[n, 2]`` (row, column), pixel centres at
    whole numbers; even-odd, so that a contour led in and out again (a keyhole) leaves its hole.

    >>> fill(np.array([(0.0, 0.0), (0.0, 2.0), (1.0, 2.0), (1.0, 0.0)]), (2, 3)).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    inside = np.zeros(shape, bool)
    moved = corners - TIE
    for (row, column), (next_row, next_column) in zip(
        moved, np.roll(moved, -1, axis=0), strict=True
    ):
        if row == next_row:
            continue
        low, high = sorted((row, next_row))
        rows = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), shape[0]))
        crossings = column + (rows - row) * (next_column - column) / (next_row - row)
        for at, crossing in zip(rows.tolist(), crossings.tolist(), strict=True):
            inside[at, max(int(np.ceil(crossing)), 0) :] ^= True
    return inside


def _slice_of(places: NDArray[np.float64], series: Series, path: Path) -> int:
    number = round(float(places.mean()))
    if np.abs(places - number).max() > OFF * 2 or not 0 <= number < series.shape[0]:
        raise _elsewhere(path, series, "a contour lies beside its slices")
    return number


def _steps(affine: NDArray[np.float64], series: Series, path: Path) -> NDArray[np.float64]:
    """From a mask's indices to those of the series. Raises DataError unless a voxel of the one is
    a voxel of the other."""
    there: NDArray[np.float64] = np.linalg.inv(series.affine) @ affine
    whole = np.abs(there[:3, :3]).round()
    small = OFF / max(series.shape)
    if not np.allclose(np.abs(there[:3, :3]), whole, rtol=0, atol=small) or not (
        (whole.sum(axis=0) == 1).all() and (whole.sum(axis=1) == 1).all()
    ):
        raise _elsewhere(path, series, "its voxels have another size, or its axes turn")
    return there


def _by_value(
    labels: NDArray[np.int64], there: NDArray[np.float64], series: Series, path: Path
) -> Iterator[Layer]:
    for value in np.unique(labels[labels != 0]).tolist():
        exact = np.argwhere(labels == value) @ there[:3, :3].T + there[:3, 3]
        places = exact.round().astype(int)
        if np.abs(exact - places).max() > OFF:
            raise _elsewhere(path, series, "its voxels lie between those of the series")
        if (places < 0).any() or (places >= series.shape).any():
            raise _elsewhere(path, series, "a part of it lies outside")
        where = np.zeros(series.shape, bool)
        where[tuple(places.T)] = True
        yield value, where


def _elsewhere(path: Path, series: Series, how: str) -> DataError:
    return DataError(
        f"The reference {path} doesn't lie on {series.where} ({_size(series.shape)} voxels): {how}."
        " Draw or resample it on that series."
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

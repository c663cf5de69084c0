"""A series of DICOM slices as one volume: in the order of their places, whole, on straight axes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.dicom_frames import several_volumes
from roundelay.data.formats.dicom_header import Header, need_pydicom, slices_of
from roundelay.data.grids import Grid, grid_of
from roundelay.data.left_out import refuse
from roundelay.study.data_section import Plane

UNEVEN = 0.02
"""Share of the distance of two slices that a slice may stand away from its place."""

ALIKE = 1e-4
"""How far cosines and millimetres of one series may differ: headers round them."""

RAS = np.diag((-1.0, -1.0, 1.0))
"""DICOM counts to the patient's left and back, NIfTI to the right and front."""


@dataclass(frozen=True)
class Series:
    """Slices from the lowest to the highest along the normal of their rows and columns.

    Arrays of it are ``[slice, row, column]`` as the headers have them; `affine` leads from there
    to millimetres, RAS+.
    """

    where: str
    slices: tuple[Header, ...]

    @property
    def uid(self) -> str:
        return self.slices[0].series

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.slices), self.slices[0].rows, self.slices[0].columns

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """From indices to millimetres."""
        first = self.slices[0]
        along_row, along_column = np.array(first.orientation).reshape(2, 3)
        affine = np.eye(4)
        affine[:3, 0] = RAS @ self._step()
        affine[:3, 1] = RAS @ along_column * first.spacing[0]
        affine[:3, 2] = RAS @ along_row * first.spacing[1]
        affine[:3, 3] = RAS @ np.array(first.position)
        return affine

    def grid(self, plane: Plane) -> Grid:
        """Where its voxels lie, and how slices are cut. Raises DataError."""
        return grid_of(self.shape, self.affine, plane, self.where)

    def _step(self) -> NDArray[np.float64]:
        """Millimetres from one slice to the next."""
        first, last = np.array(self.slices[0].position), np.array(self.slices[-1].position)
        if len(self.slices) > 1:
            step: NDArray[np.float64] = (last - first) / (len(self.slices) - 1)
            return step
        return normal_of(self.slices[0]) * self.slices[0].thickness


def normal_of(header: Header) -> NDArray[np.float64]:
    """Of the plane of its rows and columns, 1 mm long."""
    along_row, along_column = np.array(header.orientation).reshape(2, 3)
    normal: NDArray[np.float64] = np.cross(along_row, along_column)
    return normal / np.linalg.norm(normal)


def series_of(headers: Sequence[Header], where: str) -> Series:
    """The slices of one series, files or frames of files, in their order.

    Raises DataError where they are no volume.
    """
    slices = [one for header in headers for one in slices_of(header)]
    refuse([f"{where}: {fault}" for fault in _odd_files(slices)][:1])
    refuse([f"{where}: {fault}" for fault in _unlike(slices)][:1])
    normal = normal_of(slices[0])
    order = sorted(
        slices, key=lambda h: (float(normal @ np.array(h.position)), h.path, h.frame or 0)
    )
    refuse([f"{where}: {fault}" for fault in _odd_places(order, normal)][:1])
    series = Series(where, tuple(order))
    series.grid("auto")
    return series


def _odd_files(headers: Sequence[Header]) -> Iterator[str]:
    """What no file of a series may be, each by itself."""
    for header in headers:
        if header.frames > 1:
            yield (
                f"{header.called} holds {header.frames} frames in one file, and doesn't say of"
                " each where it lies (enhanced DICOM does). Export the series as one file a slice."
            )
        if header.samples > 1 or header.colours != "MONOCHROME2":
            yield (
                f"{header.called} is {header.colours or 'of no named colours'}; expected grey"
                " levels, bright is high (MONOCHROME2). Is it a picture of a screen? Name another"
                " series by its description, in the site's channels."
            )
        if header.has_table:
            yield f"{header.called} has a table of grey levels (Modality LUT), which isn't read."
        if not _has_place(header):
            yield (
                f"{header.called} doesn't say where it lies (ImagePositionPatient,"
                " ImageOrientationPatient, PixelSpacing). Export the series itself, with its"
                " geometry."
            )
        if not _can_be_unpacked(header.syntax):
            yield (
                f"{header.called} is compressed as {_called(header.syntax)}, which nothing that"
                " is installed here can read. Install what can (pip install pylibjpeg"
                " pylibjpeg-libjpeg pylibjpeg-openjpeg), or export it uncompressed."
            )


def _has_place(header: Header) -> bool:
    numbers = (*header.position, *header.orientation, *header.spacing)
    lengths = (len(header.position), len(header.orientation), len(header.spacing))
    if lengths != (3, 6, 2) or not np.isfinite(numbers).all() or min(header.spacing) <= 0:
        return False
    along_row, along_column = np.array(header.orientation).reshape(2, 3)
    return bool(np.linalg.norm(np.cross(along_row, along_column)) > 0.5)


def _can_be_unpacked(syntax: str) -> bool:
    pydicom = need_pydicom()
    try:
        uid = pydicom.uid.UID(syntax, pydicom.config.IGNORE)
        return not uid.is_compressed or bool(pydicom.pixels.get_decoder(uid).is_available)
    except (ValueError, NotImplementedError):
        return False


def _called(syntax: str) -> str:
    pydicom = need_pydicom()
    return (
        str(pydicom.uid.UID(syntax, pydicom.config.IGNORE).name) if syntax else "nobody knows what"
    )


def _unlike(headers: Sequence[Header]) -> Iterator[str]:
    """Files of one series whose planes or pixels differ."""
    first = headers[0]
    named = {(header.uid, header.frame): header.called for header in reversed(headers)}
    for other in headers[1:]:
        before = named[other.uid, other.frame]
        if before != other.called:
            yield (
                f"{before} and {other.called} have one SOPInstanceUID: the same file"
                " twice, or a fault of what took names out. Keep one, or number them anew."
            )
        both = f"{first.called} and {other.called}"
        if (first.rows, first.columns) != (other.rows, other.columns):
            yield (
                f"{both} are {first.rows} x {first.columns} and {other.rows} x {other.columns}"
                " pixels. Slices of a series must have one size: split the series."
            )
        if not np.allclose(first.orientation, other.orientation, rtol=0, atol=ALIKE):
            yield (
                f"{both} lie in different planes (ImageOrientationPatient): a localiser, or several"
                " series in one? Split it, or name another series in the site's channels."
            )
        if not np.allclose(first.spacing, other.spacing, rtol=0, atol=ALIKE):
            yield f"{both} have pixels of different size (PixelSpacing). Split the series."
    frames = [one for header in headers for one in header.placed]
    for several in several_volumes(frames):
        yield (
            f"{first.path.name} holds {several}: several volumes in one series. Export each as a"
            " series of its own."
        )


def _odd_places(order: Sequence[Header], normal: NDArray[np.float64]) -> Iterator[str]:
    """Gaps, and two slices on one place."""
    if len(order) == 1:
        if order[0].thickness <= 0:
            yield f"{order[0].called} is its only slice, and doesn't say how thick it is."
        return
    places = np.array([h.position for h in order])
    steps = np.diff(places @ normal)
    usual = float(np.median(steps))
    for (before, after), step in zip(pairwise(order), steps, strict=True):
        if step <= max(UNEVEN * usual, 1e-3):
            yield (
                f"{before.called} and {after.called} lie on one place: a copy, or several"
                " echoes, times or directions in one series? Keep one slice a place."
            )
    for (before, after), step in zip(pairwise(order), steps, strict=True):
        if abs(step - usual) > UNEVEN * usual:
            yield (
                f"from {before.called} to {after.called} it is {step:.3g} mm, elsewhere"
                f" {usual:.3g} mm: {'slices are missing' if step > usual else 'one is too many'}"
                " there. Export the whole series anew."
            )
    straight = places[0] + np.linspace(0, 1, len(order))[:, None] * (places[-1] - places[0])
    away = np.linalg.norm(places - straight, axis=1)
    if away.max() > UNEVEN * usual:
        yield (
            f"{order[int(away.argmax())].called} lies {away.max():.2g} mm beside the line that"
            " the others stand on. Export the series anew."
        )

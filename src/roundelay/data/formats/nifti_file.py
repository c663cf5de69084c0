"""One NIfTI file: read to its end, its checksum believed, its place agreed on by all it says."""

import io
import zlib
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from roundelay.data.formats.itk_file import is_itk, itk_header, itk_image
from roundelay.data.grids import Grid, corner_distance, grid_of, voxel_sizes
from roundelay.errors import DataError
from roundelay.files.reading import read_bytes
from roundelay.files.regular import refuse_special
from roundelay.study.data_section import Plane

GZIP, LFS = b"\x1f\x8b", b"version https://git-lfs"

HEADER = 1 << 20
"""Bytes of a file, unpacked, in which its header and what extends it stand."""

APART = 0.5
"""Of a voxel: how far sform and qform may put a corner apart; a quaternion that is nearly a half
turn is rounded as much."""

STEP, HALF = 0.05, 0.51
"""The largest step of scaled integers from which whole numbers are read back, and how much of one
they may be away."""

MOST = 1 << 32
"""Bytes of an exam's file, unpacked, at most: 4 GiB."""

_ODD = (ImageFileError, HeaderDataError, WrapStructError, ValueError, KeyError, OSError)

Image = nib.nifti1.Nifti1Image


@dataclass(frozen=True)
class NiftiFile:
    """A file's header, and its voxels where all of it was read. NRRD and MHA are as if they were
    NIfTI."""

    path: Path
    image: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """Without axes of one voxel behind the third."""
        shape = tuple(int(n) for n in self.image.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        return shape

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """From the file's indices to millimetres, RAS+. Raises DataError where sform and qform
        disagree."""
        header: Any = self.image.header
        if (unit := header.get_xyzt_units()[0]) in ("meter", "micron"):
            raise DataError(
                f"{self.path} measures its voxels by the {unit}. Write it anew in millimetres."
            )
        sform, qform = (header.get_sform(coded=True), header.get_qform(coded=True))
        both = sform[1] and qform[1]
        apart = corner_distance(self.shape, sform[0], qform[0]) if both else 0.0
        if not np.isfinite(self.image.affine).all():
            raise DataError(
                f"{self.path} doesn't say where it lies: its sform or qform holds values that are"
                " no numbers. Write them anew."
            )
        if both and not apart <= APART * float(voxel_sizes(sform[0]).min()):
            raise DataError(
                f"{self.path} says of two places where it lies: its sform and its qform put a"
                f" corner {apart:.1f} mm apart. Find out which is right and write it into both."
            )
        affine: NDArray[np.float64] = np.asarray(self.image.affine, dtype=np.float64)
        return affine

    @property
    def is_placed(self) -> bool:
        """Whether it says where its voxels lie in a body."""
        header: Any = self.image.header
        return bool(header["sform_code"] or header["qform_code"])

    def grid(self, plane: Plane) -> Grid:
        """Where its voxels lie, and how slices are cut. Raises DataError."""
        return grid_of(self.shape, self.affine, plane, str(self.path))

    def labels(self) -> NDArray[Any]:
        """Its numbers as those of a mask. Programs that save labels as scaled integers leave each
        up to half a step of the scale away from what it was; small steps are undone."""
        found, image = self.voxels(None), self.image
        kind: Any = image.header
        step = abs(float(getattr(image.dataobj, "slope", 1.0)))
        if found.dtype.kind != "f" or not step < STEP or kind.get_data_dtype().kind == "f":
            return found
        near = np.round(found)
        return np.where(np.abs(found - near) <= HALF * step, near, found)

    def voxels(self, volume: int | None) -> NDArray[Any]:
        """Its numbers ``[i, j, k]``, or those of one volume of several; scaled as it says."""
        try:
            array = np.asanyarray(self.image.dataobj).reshape(self.shape)
        except _ODD as error:
            raise DataError(f"{self.path} is no whole NIfTI file ({_said(error)}).") from error
        if array.dtype.kind not in "iuf":
            raise DataError(
                f"{self.path} holds voxels of the type {array.dtype}, which are no grey levels."
                " Write it anew with one whole or real number a voxel."
            )
        array = array if volume is None else array[..., volume]
        return array.astype(np.float32) if array.dtype.itemsize > 4 else array


def read_header(path: Path) -> NiftiFile:
    """The header alone: of a packed file its first piece. Raises DataError."""
    try:
        refuse_special(path)
        with path.open("rb") as file:
            start = file.read(HEADER)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}.") from error
    _refuse_others(path, start)
    if is_itk(path):
        return NiftiFile(path, itk_header(path, start))
    if start.startswith(GZIP):
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, HEADER)
        except zlib.error as error:
            raise DataError(_damaged(path, error)) from error
    return NiftiFile(path, _image(path, start))


def read_file(path: Path) -> NiftiFile:
    """The whole file. A packed one is read to its end: a bit that was turned shows in its checksum
    alone. Raises DataError."""
    data = read_bytes(path, DataError)
    _refuse_others(path, data)
    if is_itk(path):
        return NiftiFile(path, itk_image(path, data))
    if not data.startswith(GZIP):
        return NiftiFile(path, _whole(path, _image(path, data), len(data)))
    needed = _needed(read_header(path).image)
    if needed > MOST:
        raise DataError(f"{path} says that it holds {needed >> 30} GiB: no exam is so large.")
    unpacked = _unpacked(path, data, needed + HEADER)
    return NiftiFile(path, _whole(path, _image(path, unpacked), len(unpacked)))


def _needed(image: Image) -> int:
    """Bytes from the beginning of the file to its last voxel."""
    header: Any = image.header
    voxels = prod(int(n) for n in image.shape)
    return int(header["vox_offset"]) + voxels * int(header.get_data_dtype().itemsize)


def _whole(path: Path, image: Image, length: int) -> Image:
    if length < (needed := _needed(image)):
        raise DataError(_damaged(path, f"it has {length} bytes, and its header speaks of {needed}"))
    return image


def _unpacked(path: Path, data: bytes, most: int) -> bytes:
    found, rest = bytearray(), data
    try:
        while rest.startswith(GZIP):  # a file may be several, one behind the other
            unpacker = zlib.decompressobj(wbits=31)
            found += unpacker.decompress(rest, most - len(found) + 1)
            if len(found) > most:
                raise zlib.error("more stands in it than its header speaks of")
            if not unpacker.eof:
                raise zlib.error("it ends too early")
            rest = unpacker.unused_data
    except zlib.error as error:
        raise DataError(_damaged(path, error)) from error
    if rest.strip(b"\0"):
        raise DataError(_damaged(path, "something else stands behind its end"))
    return bytes(found)


def _image(path: Path, data: bytes) -> Image:
    kind: type[Image] = nib.nifti2.Nifti2Image if data[:4] in _NIFTI2 else Image
    try:
        image: Image = kind.from_stream(io.BytesIO(data))
    except _ODD as error:
        raise DataError(
            f"{path} is no NIfTI file ({_said(error)}). Copy it anew from its source."
        ) from error
    if len(image.shape) < 3 or 0 in image.shape:
        size = " x ".join(map(str, image.shape))
        raise DataError(
            f"{path} is {size}: no volume of slices. Write all slices of an exam into one file of"
            " three axes."
        )
    return image


_NIFTI2 = ((540).to_bytes(4, "little"), (540).to_bytes(4, "big"))


def _refuse_others(path: Path, data: bytes) -> None:
    if data.startswith(LFS):
        raise DataError(
            f"{path} is a pointer of Git LFS, not the image: fetch it (git lfs pull) and try again."
        )
    if not data:
        raise DataError(f"{path} is empty. Copy it anew from its source.")


def _damaged(path: Path, why: object) -> str:
    return f"{path} is damaged ({why}). Copy it anew from its source."


def _said(error: Exception) -> str:
    return str(error).strip().rstrip(".").split("\n")[0] or type(error).__name__

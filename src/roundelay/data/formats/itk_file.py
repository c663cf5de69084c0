"""NRRD and MHA files by SimpleITK (extra ``itk``), as the NIfTI image that all else works on.

What is packed in them is unpacked here too, for its checksum: SimpleITK takes a damaged MHA file
without an error, and some NRRD files.
"""

import tempfile
import zlib
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from roundelay.data.formats.itk_text import DETACHED, packed_in, refuse_strange, says_space
from roundelay.data.grids import voxel_sizes
from roundelay.errors import DataError, MissingExtraError
from roundelay.files.reading import read_bytes

NIFTI1: Any = nib.nifti1
"""Its calls have no types."""

READERS = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO"}
"""What reads and writes a file, by its ending."""

TO_RAS = np.array([-1.0, -1.0, 1.0])
"""ITK counts millimetres to the left and to the back, NIfTI to the right and to the front."""

WIDEST = 8
"""Bytes of a voxel at most."""


def is_itk(path: Path) -> bool:
    """Whether a file is NRRD or MetaImage by its ending."""
    return path.suffix.lower() in (*READERS, *DETACHED)


def itk_header(path: Path, start: bytes) -> Any:
    """A NIfTI image of the file's shape and place, without its voxels; `start` is how it begins.

    Raises DataError, MissingExtraError.
    """
    sitk = _need_itk()
    refuse_strange(path, start)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(READERS[path.suffix.lower()])
    reader.SetFileName(str(path))
    _tried(path, reader.ReadImageInformation)
    shape = _shape(path, reader)
    return _image(path, np.broadcast_to(np.int16(0), shape), reader, start)


def itk_image(path: Path, data: bytes) -> Any:
    """The whole file, of which `data` are the bytes. Raises DataError, MissingExtraError."""
    sitk = _need_itk()
    refuse_strange(path, data)
    shape = itk_header(path, data).shape
    length = _unpacked_length(path, data, prod(shape) * WIDEST)
    found = _tried(path, lambda: sitk.ReadImage(str(path), imageIO=READERS[path.suffix.lower()]))
    voxels: NDArray[Any] = sitk.GetArrayFromImage(found)
    if length is not None and length != voxels.nbytes:
        raise DataError(_damaged(path, f"{length} bytes of voxels are in it, not {voxels.nbytes}"))
    return _image(path, voxels.T, found, data)


def itk_bytes(labels: NDArray[Any], affine: NDArray[np.float64], ending: str) -> bytes:
    """A mask ``[i, j, k]`` as a file of that ending, packed; `affine` is RAS+."""
    sitk = _need_itk()
    sizes = voxel_sizes(affine)
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.T))
    image.SetSpacing(sizes.tolist())
    image.SetOrigin((affine[:3, 3] * TO_RAS).tolist())
    image.SetDirection((affine[:3, :3] / sizes * TO_RAS[:, None]).ravel().tolist())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mask{ending}"
        sitk.WriteImage(image, str(path), useCompression=True, imageIO=READERS[ending])
        return read_bytes(path, DataError)


def _need_itk() -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise MissingExtraError("Reading NRRD and MHA", "itk") from error
    return SimpleITK


def _tried(path: Path, read: Any) -> Any:
    try:
        return read()
    except RuntimeError as error:
        said = str(error).strip().rstrip(".").rsplit("\n", 1)[-1].strip()
        raise DataError(_damaged(path, said)) from error


def _shape(path: Path, reader: Any) -> tuple[int, ...]:
    shape = tuple(int(n) for n in reader.GetSize())
    if len(shape) != 3 or reader.GetNumberOfComponents() != 1:
        raise DataError(
            f"{path} holds {' x '.join(map(str, shape))} voxels of"
            f" {reader.GetNumberOfComponents()} numbers each, where one volume of one number is"
            " expected. Give each channel a file of its own."
        )
    return shape


def _image(path: Path, voxels: NDArray[Any], placed: Any, start: bytes) -> Any:
    affine = np.eye(4)
    direction = np.array(placed.GetDirection()).reshape(3, 3)
    affine[:3, :3] = direction * np.array(placed.GetSpacing()) * TO_RAS[:, None]
    affine[:3, 3] = np.array(placed.GetOrigin()) * TO_RAS
    if not np.isfinite(affine).all():
        raise DataError(_damaged(path, "its place or size in space is no number"))
    try:
        image: Any = NIFTI1.Nifti1Image(voxels, affine, dtype=voxels.dtype)
    except (nib.spatialimages.HeaderDataError, ValueError) as error:
        raise DataError(f"{path} can't be used ({error}). Write it anew as NIfTI.") from error
    if path.suffix.lower() == ".nrrd" and not says_space(path, start):
        image.header["sform_code"] = 0  # it says nothing of left and right
    return image


def _unpacked_length(path: Path, data: bytes, most: int) -> int | None:
    """Bytes of voxels in a file, what is packed unpacked; None where the header alone knows."""
    if (found := packed_in(path, data)) is None:
        return None
    rest, wbits = found
    return len(rest) if wbits is None else _length(path, rest, most, wbits=wbits)


def _length(path: Path, packed: bytes, most: int, *, wbits: int) -> int:
    unpacker = zlib.decompressobj(wbits=wbits)
    try:
        length = len(unpacker.decompress(packed, most + 1))
    except zlib.error as error:
        raise DataError(_damaged(path, error)) from error
    if not unpacker.eof:
        raise DataError(_damaged(path, "it ends too early, or holds more than its header says"))
    return length


def _damaged(path: Path, why: object) -> str:
    return f"{path} is damaged ({why}). Copy it anew from its source."

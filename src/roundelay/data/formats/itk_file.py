"""NRRD and MHA files by SimpleITK (extra ``itk``), as the NIfTI image that all else works on.

What is packed in them is unpacked here too, for its checksum: SimpleITK takes a damaged MHA file
without an error, and some NRRD files.
"""

import re
import tempfile
import zlib
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from roundelay.data.grids import voxel_sizes
from roundelay.errors import DataError, MissingExtraError
from roundelay.files.reading import read_bytes

NIFTI1: Any = nib.nifti1
"""Its calls have no types."""

READERS = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO"}
"""What reads and writes a file, by its ending."""

DETACHED = {".nhdr": ".nrrd", ".mhd": ".mha"}
"""Endings of headers whose voxels lie in another file, and of the same in one file."""

TO_RAS = np.array([-1.0, -1.0, 1.0])
"""ITK counts millimetres to the left and to the back, NIfTI to the right and to the front."""

WIDEST = 8
"""Bytes of a voxel at most."""

_LOCAL = re.compile(rb"^ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n", re.MULTILINE)
_PACKED = re.compile(rb"^CompressedData[ \t]*=[ \t]*True", re.MULTILINE | re.IGNORECASE)
_ENCODED = re.compile(rb"^encoding:[ \t]*(\w+)", re.MULTILINE | re.IGNORECASE)
_ELSEWHERE = re.compile(rb"^data ?file:", re.MULTILINE | re.IGNORECASE)
_SPACE = re.compile(rb"^space:", re.MULTILINE | re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")


def is_itk(path: Path) -> bool:
    """Whether a file is NRRD or MetaImage by its ending."""
    return path.suffix.lower() in (*READERS, *DETACHED)


def itk_header(path: Path, start: bytes) -> Any:
    """A NIfTI image of the file's shape and place, without its voxels; `start` is how it begins.

    Raises DataError, MissingExtraError.
    """
    _refuse_detached(path, start)
    sitk = _need_itk()
    reader = sitk.ImageFileReader()
    reader.SetImageIO(READERS[path.suffix.lower()])
    reader.SetFileName(str(path))
    _tried(path, reader.ReadImageInformation)
    shape = _shape(path, reader)
    return _image(path, np.broadcast_to(np.int16(0), shape), reader, start)


def itk_image(path: Path, data: bytes) -> Any:
    """The whole file, of which `data` are the bytes. Raises DataError, MissingExtraError."""
    _refuse_detached(path, data)
    sitk = _need_itk()
    shape = itk_header(path, data).shape
    length = _unpacked_length(path, data, prod(shape) * WIDEST)
    found = _tried(path, lambda: sitk.ReadImage(str(path), imageIO=READERS[path.suffix.lower()]))
    voxels: NDArray[Any] = sitk.GetArrayFromImage(found)
    if length is not None and length != voxels.nbytes:
        raise DataError(_damaged(path, f"{length} bytes are packed in it, not {voxels.nbytes}"))
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
    try:
        image: Any = NIFTI1.Nifti1Image(voxels, affine, dtype=voxels.dtype)
    except (nib.spatialimages.HeaderDataError, ValueError) as error:
        raise DataError(f"{path} can't be used ({error}). Write it anew as NIfTI.") from error
    if path.suffix.lower() == ".nrrd" and not _SPACE.search(_head(start)):
        image.header["sform_code"] = 0  # it says nothing of left and right
    return image


def _refuse_detached(path: Path, start: bytes) -> None:
    ending = path.suffix.lower()
    local = _LOCAL.search(start) if ending == ".mha" else None
    elsewhere = local is not None and local[1].strip() != b"LOCAL"
    if ending in DETACHED or elsewhere or (ending == ".nrrd" and _ELSEWHERE.search(_head(start))):
        raise DataError(
            f"{path} is a header whose voxels lie in another file. Write both anew as one"
            f" {DETACHED.get(ending, ending)} file."
        )


def _head(data: bytes) -> bytes:
    """The header of an NRRD file, which ends in an empty line."""
    found = _END.search(data)
    return data[: found.start()] if found else data


def _unpacked_length(path: Path, data: bytes, most: int) -> int | None:
    """Bytes that are packed in a file, all of them unpacked; None of one that isn't packed."""
    if path.suffix.lower() == ".mha":
        found = _LOCAL.search(data)
        if found is None or not _PACKED.search(data[: found.end()]):
            return None
        return _length(path, data[found.end() :], most, wbits=15)
    found, encoding = _END.search(data), _ENCODED.search(_head(data))
    if found is None or encoding is None or encoding[1].lower() not in (b"gzip", b"gz"):
        return None
    return _length(path, data[found.end() :], most, wbits=31)


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

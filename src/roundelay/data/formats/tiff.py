"""One slice or mask in a TIFF file: read as it must be, or refused with what it is."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from roundelay.errors import DataError
from roundelay.files.regular import refuse_special

BITS, SAMPLES = 258, 277
"""The tags that hold bits for each channel, and the number of channels."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """One slice, uint8 ``[height, width, 3]``. Raises DataError for anything else."""
    pixels, mode = _read(path, channels=3)
    if mode != "RGB" or pixels.dtype != np.uint8:
        raise DataError(
            f"{path} has mode {mode}; expected 8 bits and three channels"
            " (pre-contrast, FLAIR, post-contrast). Convert it and try again."
        )
    return pixels


def read_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """One mask, bool ``[height, width]``, of the image's shape. Raises DataError."""
    pixels, mode = _read(path, channels=1)
    if mode not in ("L", "1", "P") or pixels.ndim != 2:
        raise DataError(f"The mask {path} has mode {mode}; expected one channel of 8 bits.")
    if pixels.shape != shape:
        raise DataError(
            f"The mask {path} is {pixels.shape[0]} x {pixels.shape[1]}, its image"
            f" {shape[0]} x {shape[1]}. Both must have one size."
        )
    values = np.flatnonzero(np.bincount(pixels.reshape(-1), minlength=2))
    if not (set(values.tolist()) <= {0, 255} or set(values.tolist()) <= {0, 1}):
        listed = ", ".join(str(value) for value in values[:6])
        raise DataError(f"The mask {path} holds the values {listed}; expected 0 and 255 alone.")
    return pixels > 0


def encode_mask(mask: NDArray[np.bool_]) -> bytes:
    """One mask as the bytes of a file, as the format has it: uint8, 0 or 255."""
    file = io.BytesIO()
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    picture.save(file, "TIFF", compression="tiff_deflate")
    return file.getvalue()


def _read(path: Path, *, channels: int) -> tuple[NDArray[Any], str]:
    try:
        refuse_special(path)
        with path.open("rb") as file, warnings.catch_warnings():
            if not file.seek(0, io.SEEK_END):
                raise DataError(f"{path} is empty (0 bytes): a copy that broke off?")
            warnings.simplefilter("error")
            with Image.open(file, formats=["TIFF"]) as image:
                return np.asarray(_one_page(path, image)), _mode(image, channels)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing.") from error
    except DataError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{path} can't be read: {error.strerror}.") from error
        what = "it is no TIFF" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(
            f"{path} can't be read as an image ({what}): truncated or damaged?"
        ) from error


def _one_page(path: Path, image: Any) -> Image.Image:
    if image.n_frames != 1:
        raise DataError(
            f"{path} holds {image.n_frames} pages; expected one slice in a file. Save each page as"
            " a file of its own, <folder>_<slice>.tif."
        )
    page: Image.Image = image
    return page


def _mode(image: Any, channels: int) -> str:
    """Pillow's mode, with the bits and channels that it leaves out without a word."""
    depth, found = max(image.tag_v2.get(BITS, (1,))), image.tag_v2.get(SAMPLES, 1)
    mode = str(image.mode)
    if depth > 8:
        mode += f" of {depth} bits"
    if found > channels:
        mode += f" with {found} channels"
    return mode

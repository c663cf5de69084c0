"""Small exams as NIfTI files, made in a test's folder: any layout, affine and labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

BRATS20 = ("t1", "t1ce", "t2", "flair")
BRATS23 = ("t1n", "t1c", "t2w", "t2f")

RAS = np.diag([1.0, 1, 1, 1])
LPS = np.array([[-1.0, 0, 0, 20], [0, -1, 0, 30], [0, 0, 1, -10], [0, 0, 0, 1]])


def voxels_of(name: str, shape: Sequence[int], dtype=np.int16):
    """Numbers that differ by channel and voxel, a head in the middle of background."""
    rng = np.random.default_rng(abs(hash_of(name)))
    image = np.zeros(shape, dtype)
    inner = tuple(slice(1, n - 1) for n in shape[:3])
    image[inner] = rng.integers(10, 900, image[inner].shape)
    return image


def labels_of(shape: Sequence[int], values: Sequence[int] = (1, 2, 4), dtype=np.uint8):
    """A mask with two voxels of each value."""
    mask = np.zeros(shape, dtype)
    for number, value in enumerate(values):
        mask[1 + number % (shape[0] - 2), 1 + number // (shape[0] - 2), 1:3] = value
    return mask


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[-6:], "big")


def write_nifti(path: Path, array, affine=RAS, *, codes=(1, 1)) -> Path:
    """One file, with sform and qform under these codes; of none of them `affine` says nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, np.asarray(affine, float) if any(codes) else None)
    image.set_sform(affine, codes[0], update_affine=False)
    image.set_qform(affine, codes[1], update_affine=False)
    image.to_filename(path)
    return path


def write_exam(
    folder: Path,
    *,
    name: str | None = None,
    channels: Sequence[str] = BRATS20,
    mask: str | None = "seg",
    sep: str = "_",
    end: str = ".nii.gz",
    shape: Sequence[int] = (8, 9, 6),
    affine=RAS,
    labels=(1, 2, 4),
    codes=(1, 1),
    arrays: Mapping[str, np.ndarray] | None = None,
    dtype=np.int16,
) -> Path:
    """``<folder>/<name><sep><channel><end>`` for each channel and the mask, as BraTS 2021 does;
    `labels` are values or a mask, `arrays` the voxels of single channels."""
    name = folder.name if name is None else name
    for channel in channels:
        array = (arrays or {}).get(channel, voxels_of(channel + name, shape, dtype))
        write_nifti(folder / f"{name}{sep}{channel}{end}", array, affine, codes=codes)
    if mask is not None:
        array = labels if isinstance(labels, np.ndarray) else labels_of(shape, labels)
        write_nifti(folder / f"{name}{sep}{mask}{end}", array, affine, codes=codes)
    return folder


HEAD = (26, 30, 6)
THICK = LPS @ np.diag([1.0, 1.5, 5.0, 1.0])


def head(seed: int):
    """Four channels of an ellipse with a bright lesion in it, and the lesion's three labels."""
    rng = np.random.default_rng(seed)
    i, j, k = np.indices(HEAD)
    inside = ((i - 13) / 11) ** 2 + ((j - 15) / 13) ** 2 < 1
    ci, cj = rng.integers(9, 17), rng.integers(10, 20)
    distance = np.hypot(i - ci, j - cj) + 1.5 * abs(k - 3)
    labels = np.select([distance < 2, distance < 3.5, distance < 5], [4, 1, 2], 0)
    arrays = {
        name: np.where(inside, rng.normal(300, 40, HEAD) + 250 * (labels > 0), 0).astype(np.int16)
        for name in BRATS20
    }
    return arrays, (labels * inside).astype(np.uint8)


def write_head(folder: Path, seed: int, affine=THICK, renumbered=None, names=None) -> Path:
    """An exam that a network can learn, in slices of 5 mm; `renumbered` and `names` say which
    values and channels the site has otherwise."""
    arrays, labels = head(seed)
    for value, own in (renumbered or {}).items():
        labels[labels == value] = own
    named = {(names or {}).get(name, name): array for name, array in arrays.items()}
    return write_exam(
        folder, channels=tuple(named), shape=HEAD, affine=affine, labels=labels, arrays=named
    )

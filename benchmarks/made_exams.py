"""Made-up exams of BraTS' size, no two alike, that take the room of a few."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

SHAPE, CHANNELS, KINDS = (240, 240, 155), ("t1ce", "t1", "t2", "flair"), 4
OWN = CHANNELS[0]
"""The channel of which each exam has a file of its own."""

AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])


def make_kind(place: Path, seed: int) -> np.ndarray:
    """One kind's files; the voxels of the channel that is each exam's own."""
    rng = np.random.default_rng(seed)
    i, j, k = np.indices(SHAPE, dtype=np.float32)
    inside = ((i - 120) / 70) ** 2 + ((j - 120) / 90) ** 2 + ((k - 77) / 70) ** 2 < 1
    distance = np.sqrt((i - 95 - 5 * seed) ** 2 + (j - 110) ** 2 + (k - 80) ** 2)
    labels = np.select([distance < 10, distance < 16, distance < 24], [4, 1, 2], 0) * inside
    for name in CHANNELS[1:]:
        grey = (rng.normal(400, 60, SHAPE) + 200 * (labels > 0)) * inside
        write(place / f"kind{seed}_{name}.nii.gz", grey.astype(np.int16))
    write(place / f"kind{seed}_seg.nii.gz", labels.astype(np.uint8))
    coarse = np.kron(rng.normal(400, 60, (30, 30, 31)), np.ones((8, 8, 5)))
    found: np.ndarray = ((coarse + 200 * (labels > 0)) * inside).astype(np.int16)
    return found


def write(path: Path, array: np.ndarray) -> None:
    image: Any = nib.nifti1.Nifti1Image(array, AFFINE)  # type: ignore[no-untyped-call]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), 1))


def make_exam(place: Path, number: int, own: Sequence[np.ndarray]) -> Path:
    """One exam: a file of its own, and links to those of its kind."""
    name, kind = f"exam-{number:04}", number % KINDS
    folder = place / "exams" / name
    folder.mkdir(parents=True)
    for path in (place / "kinds").glob(f"kind{kind}_*"):
        (folder / path.name.replace(f"kind{kind}", name)).symlink_to(path.resolve())
    array = own[kind].copy()
    array[120, 120, :] += number + 1  # no slice is any other exam's
    write(folder / f"{name}_{OWN}.nii.gz", array)
    return folder

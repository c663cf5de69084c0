"""Small NIfTI exams, and the same ones as a BraTS folder, an nnU-Net set, an MSD set and a list."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from roundelay.data.image_settings import ImageSettings

CHANNELS = ("t1ce", "t1", "t2", "flair")

NAMES = ("T1Gd", "T1w", "T2w", "FLAIR")
"""What an nnU-Net set calls them."""

SHAPE = (6, 5, 4)

AFFINE = np.array([[-1.0, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 3, -5], [0, 0, 0, 1]])

SETTINGS = ImageSettings(
    channels=CHANNELS,
    regions=(("whole", (1, 2, 3)), ("core", (2, 3)), ("enhancing", (3,))),
)

LABELS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}


def voxels(seed, *, count=4):
    """An exam: channels ``[channel, i, j, k]``, int16 with negative values, and its mask."""
    rng = np.random.default_rng(seed)
    images = rng.integers(-200, 900, (count, *SHAPE)).astype(np.int16)
    mask = rng.integers(1, 4, SHAPE) * (rng.random(SHAPE) < 0.3)
    return images, mask.astype(np.uint8)


def write_nifti(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(array, AFFINE).to_filename(path)


def write_json(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(values if isinstance(values, str) else json.dumps(values))


def dataset_json(count, **others):
    return {
        "channel_names": {str(n): name for n, name in enumerate(NAMES)},
        "labels": LABELS,
        "regions_class_order": [1, 2, 3],
        "numTraining": count,
        "file_ending": ".nii.gz",
        **others,
    }


def brats(root, cases):
    for seed, case in enumerate(cases):
        images, mask = voxels(seed)
        for name, image in zip(CHANNELS, images, strict=True):
            write_nifti(root / case / f"{case}_{name}.nii.gz", image)
        write_nifti(root / case / f"{case}_seg.nii.gz", mask)
    return root


def nnunet(root, cases, *, folder="Tr", **others):
    """A set; with `folder` ``Ts`` cases to be predicted, in a set that is there."""
    for seed, case in enumerate(cases):
        images, mask = voxels(seed)
        for number, image in enumerate(images):
            write_nifti(root / f"images{folder}" / f"{case}_{number:04}.nii.gz", image)
        if folder == "Tr":
            write_nifti(root / "labelsTr" / f"{case}.nii.gz", mask)
    if folder == "Tr":
        write_json(root / "dataset.json", dataset_json(len(cases), **others))
    return root


def msd(root, cases, *, tests=()):
    """MSD's variant, a file of four dimensions a case."""
    for seed, case in enumerate((*cases, *tests)):
        images, mask = voxels(seed)
        folder = "imagesTs" if case in tests else "imagesTr"
        write_nifti(root / folder / f"{case}.nii.gz", np.moveaxis(images, 0, -1))
        if case not in tests:
            write_nifti(root / "labelsTr" / f"{case}.nii.gz", mask)
    values = {
        "modality": {str(n): name for n, name in enumerate(NAMES)},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing", "3": "enhancing"},
        "numTraining": len(cases),
        "training": [
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"}
            for case in cases
        ],
        "test": [f"./imagesTs/{case}.nii.gz" for case in tests],
    }
    write_json(root / "dataset.json", values)
    return root


def entry(case, **others):
    """An entry of a MONAI list, of files as `brats` lays them."""
    return {
        "image": [f"{case}/{case}_{name}.nii.gz" for name in CHANNELS],
        "label": f"{case}/{case}_seg.nii.gz",
        **others,
    }


def monai(root, cases, *, name="list.json", **lists):
    """A MONAI list beside the exams; `lists` stand in it as they are given."""
    brats(root, cases)
    write_json(root / name, lists or {"training": [entry(case) for case in cases]})
    return root / name


def said(found) -> str:
    """All that was left out, as it is said."""
    return "\n".join(map(str, found.left_out))


def in_place(path: Path, change):
    """A JSON file, changed."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))

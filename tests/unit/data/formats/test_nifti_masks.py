"""Masks are written on the input's grid: nibabel places them voxel on voxel over it."""

import gzip
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from nifti_files import LPS, RAS, labels_of, write_exam, write_nifti
from roundelay.data.formats import nifti
from roundelay.data.formats.known import read_volume
from roundelay.data.image_settings import ImageSettings
from roundelay.data.opening import read_patients

SHAPE = (8, 9, 6)
WANTED = ImageSettings(
    channels=("t1ce", "t1", "t2", "flair"),
    regions=(("whole", (1, 2, 4)), ("core", (1, 4)), ("enhancing", (4,))),
)
TURN = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
GRIDS = {
    "RAS": RAS,
    "LPS": LPS,
    "oblique": TURN @ LPS @ np.diag([0.5, 0.7, 3, 1]),
    "permuted": LPS[:, [2, 0, 1, 3]],
    "left-handed": np.diag([-1.0, 1, 1, 1]),
}


def written(tmp_path, patient, volume, regions):
    (name, data), *more = nifti.mask_files(patient, volume, regions).items()
    assert not more and name == f"{patient.id}.nii.gz" == nifti.mask_names(patient)[0]
    (tmp_path / name).write_bytes(data)
    return nib.load(tmp_path / name)


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (0, 1), (1, 0), (4, 4), (0, 0)])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_mask_lies_where_the_image_lies_with_its_codes(tmp_path, grid, codes):
    exam = write_exam(tmp_path / "in" / "P1", affine=GRIDS[grid], codes=codes)
    (patient,) = nifti.find_patients(tmp_path / "in", WANTED).patients
    volume = read_volume(patient)

    mask = written(tmp_path, patient, volume, volume.regions)

    image = nib.load(exam / "P1_t1ce.nii.gz")
    assert mask.get_data_dtype() == np.uint8 and mask.shape == image.shape
    assert (np.asarray(mask.dataobj) == labels_of(SHAPE)).all()
    assert mask.affine == pytest.approx(image.affine, abs=1e-5)
    for name in ("sform", "qform"):
        ours, theirs = (getattr(one.header, f"get_{name}")(coded=True) for one in (mask, image))
        assert ours[1] == theirs[1] == codes[name == "qform"]
        assert ours[0] is theirs[0] is None or ours[0] == pytest.approx(theirs[0], abs=1e-5)
    assert mask.header.get_zooms() == pytest.approx(image.header.get_zooms())
    assert (mask.dataobj.slope, mask.dataobj.inter) == (1, 0)


def test_values_are_written_as_the_site_numbers_them(tmp_path):
    write_exam(tmp_path / "in" / "P1", labels=(1, 2, 3))
    own = replace(WANTED, renumbered=((3, 4),))
    (patient,) = nifti.find_patients(tmp_path / "in", own).patients
    volume = read_volume(patient)

    mask = written(tmp_path, patient, volume, volume.regions)

    assert (np.asarray(mask.dataobj) == labels_of(SHAPE, (1, 2, 3))).all()


def test_the_same_mask_is_the_same_bytes(tmp_path):
    write_exam(tmp_path / "P1")
    (patient,) = nifti.find_patients(tmp_path, WANTED).patients
    volume = read_volume(patient)

    (first,), (second,) = (
        nifti.mask_files(patient, volume, volume.regions).values() for _ in range(2)
    )

    assert first == second and gzip.decompress(first)
    assert first[4:8] == bytes(4)  # when it was packed


def test_without_a_mask_and_with_a_channel_missing_a_mask_is_written_all_the_same(tmp_path):
    write_exam(tmp_path / "in" / "P1", channels=("t1", "t2", "flair"), mask=None, affine=LPS)
    settings = replace(WANTED, missing="zero")
    (patient,) = nifti.find_patients(tmp_path / "in", settings, masks=False).patients
    volume = read_volume(patient)

    mask = written(tmp_path, patient, volume, np.zeros((3, *volume.channels.shape[1:]), bool))

    assert volume.regions is None
    assert (mask.affine == LPS).all() and not np.asarray(mask.dataobj).any()


def test_where_channels_are_resampled_the_exam_has_its_masks_grid(tmp_path):
    exam = write_exam(tmp_path / "in" / "P1", mask=None)
    write_nifti(exam / "P1_seg.nii.gz", labels_of((6, 5, 9)), GRIDS["oblique"])
    settings = replace(WANTED, align="resample")
    (patient,) = nifti.find_patients(tmp_path / "in", settings).patients
    (opened,) = read_patients([patient])
    volume = read_volume(patient)

    mask = written(tmp_path, patient, volume, volume.regions)

    assert patient.slices == opened.slices == volume.channels.shape[1] == 9
    assert mask.affine == pytest.approx(GRIDS["oblique"], abs=1e-5)
    assert (np.asarray(mask.dataobj) == labels_of((6, 5, 9))).all()
    (bare,) = read_patients([replace(patient, masks=())])
    assert bare.slices == 6


@pytest.mark.parametrize("grid", GRIDS)
def test_every_voxel_of_a_slice_lies_where_nibabel_has_it_in_the_file(tmp_path, grid):
    exam = write_exam(tmp_path / "P1", affine=GRIDS[grid])
    (patient,) = nifti.find_patients(tmp_path, WANTED).patients
    volume = read_volume(patient)
    image = nib.load(exam / "P1_t1ce.nii.gz")
    voxels = np.asarray(image.dataobj)

    indices = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    seen = np.stack([volume.grid.to_slices(indices[..., axis]) for axis in range(3)], -1)

    assert (volume.channels[0] == voxels[tuple(np.moveaxis(seen, -1, 0))]).all()
    ours = apply_affine(np.array(volume.grid.affine), seen)
    assert ours == pytest.approx(apply_affine(image.affine, seen), abs=1e-5)
    middle = tuple(n // 2 for n in ours.shape[:3])
    for axis, (body, sign) in enumerate(((2, 1), (1, -1), (0, -1))):  # up, to the back, to the left
        further = [*middle]
        further[axis] += 1
        assert (ours[tuple(further)] - ours[middle])[body] * sign > 0

"""Where voxels lie: slices as radiologists see them, and back, for every direction of axes."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from roundelay.data.grids import corner_distance, grid_of, same_place
from roundelay.errors import DataError

PLANES = ("axial", "coronal", "sagittal")

RIGHT, ANTERIOR, SUPERIOR = range(3)


def affine_of(axes, signs, sizes=(1, 1, 1), turned=(0, 0, 0), origin=(0, 0, 0)):
    """Of a file whose axes run along those of the body, turned by degrees."""
    directions = np.zeros((3, 3))
    for own, (body, sign) in enumerate(zip(axes, signs, strict=True)):
        directions[body, own] = sign
    turn = Rotation.from_euler("xyz", turned, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ directions * np.array(sizes, float)
    affine[:3, 3] = origin
    return affine


affines = st.builds(
    affine_of,
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),  # left-handed ones too
    st.tuples(*[st.floats(0.3, 6)] * 3),
    st.tuples(*[st.floats(-40, 40)] * 3),
    st.tuples(*[st.floats(-200, 200)] * 3),
)
shapes = st.tuples(*[st.integers(1, 5)] * 3)


@given(affines, shapes, st.sampled_from(["auto", *PLANES]))
def test_slices_go_back_into_the_file_exactly(affine, shape, plane):
    grid = grid_of(shape, affine, plane, "x.nii")
    array = np.arange(np.prod(shape)).reshape(shape)

    assert (grid.to_file(grid.to_slices(array)) == array).all()
    slices = np.arange(np.prod(shape)).reshape(grid.to_slices(array).shape)
    assert (grid.to_slices(grid.to_file(slices)) == slices).all()


@given(affines, shapes, st.sampled_from(PLANES))
def test_slices_follow_rows_and_columns_as_radiologists_see_them(affine, shape, plane):
    """In millimetres by nibabel: the patient's right on the left, the face or the crown up."""
    shape = tuple(n + 1 for n in shape)
    grid = grid_of(shape, affine, plane, "x.nii")
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    millimetres = apply_affine(affine, indices)
    seen = np.stack([grid.to_slices(millimetres[..., n]) for n in range(3)], -1)

    first = seen[0, 0, 0]
    steps = (seen[1, 0, 0] - first, seen[0, 1, 0] - first, seen[0, 0, 1] - first)
    wanted = {
        "axial": ((SUPERIOR, 1), (ANTERIOR, -1), (RIGHT, -1)),
        "coronal": ((ANTERIOR, 1), (SUPERIOR, -1), (RIGHT, -1)),
        "sagittal": ((RIGHT, -1), (SUPERIOR, -1), (ANTERIOR, -1)),
    }[plane]
    for moved, (axis, sign) in zip(steps, wanted, strict=True):
        assert moved[axis] * sign > 0
    assert grid.spacing == pytest.approx([np.linalg.norm(moved) for moved in steps])


@given(st.permutations(range(3)), st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_nibabel_sees_the_same_slices(axes, signs):
    """By its own reorientation to left, posterior, superior."""
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    affine = affine_of(axes, signs)
    image = nib.Nifti1Image(array.astype(np.int16), affine)
    lps = image.as_reoriented(
        nib.orientations.ornt_transform(
            nib.io_orientation(affine), nib.orientations.axcodes2ornt("LPS")
        )
    )

    seen = grid_of(array.shape, affine, "axial", "x.nii").to_slices(array)

    assert (seen == np.asarray(lps.dataobj).transpose(2, 1, 0)).all()


@pytest.mark.parametrize(
    ("sizes", "plane"),
    [
        ((1, 1, 1), "axial"),
        ((1, 1, 5), "axial"),
        ((1, 5, 1), "coronal"),
        ((5, 1, 1), "sagittal"),
        ((1.04, 1, 1), "axial"),
    ],
)
@given(st.permutations(range(3)), st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_slices_lie_along_the_longest_side_of_a_voxel(sizes, plane, axes, signs):
    own = [sizes[body] for body in axes]
    affine = affine_of(axes, signs, own)

    assert grid_of((3, 4, 5), affine, "auto", "x") == grid_of((3, 4, 5), affine, plane, "x")


def test_places_that_differ_by_rounding_are_one_and_others_are_not():
    affine = affine_of((0, 1, 2), (-1, -1, 1), turned=(3, 2, 1))
    moved = affine + np.array([[0, 0, 0, 0.5], *[[0] * 4] * 3])

    assert same_place((9, 9, 9), affine, affine + 1e-8)
    assert not same_place((9, 9, 9), affine, moved)
    assert corner_distance((9, 9, 9), affine, moved) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({(0, 1): 0.05}, "right angles .cosine 0.050.: it is sheared"),
        ({(0, 0): 0.0}, "says nothing that can be of where its voxels lie"),
        ({(2, 3): np.nan}, "says nothing that can be of where its voxels lie"),
    ],
)
def test_what_is_no_place_in_a_body_is_refused(change, said):
    affine = np.eye(4)
    for place, value in change.items():
        affine[place] = value

    with pytest.raises(DataError, match=rf"x\.nii.*{said}|{said}"):
        grid_of((3, 3, 3), affine, "auto", "x.nii")

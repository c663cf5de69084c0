"""Faults of NIfTI files that were reported to other programs: read right, or refused in a sentence.

The numbers are those of the table of reported faults that the tests are named after.
"""

import gzip
import random
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from nifti_files import BRATS20, LPS, RAS, labels_of, voxels_of, write_exam, write_nifti
from roundelay.data.formats import nifti
from roundelay.data.formats.known import read_volume
from roundelay.data.formats.nifti_file import read_file
from roundelay.data.formats.recognise import recognise
from roundelay.data.image_settings import ImageSettings
from roundelay.data.opening import open_patients, read_patients
from roundelay.data.remarks import remarks_of
from roundelay.data.split import split_patients
from roundelay.errors import DataError
from roundelay.study.data_section import Data, Split

SHAPE = (8, 9, 6)
WANTED = ImageSettings(
    channels=("t1ce", "t1", "t2", "flair"),
    regions=(("whole", (1, 2, 4)), ("core", (1, 4)), ("enhancing", (4,))),
)
IN_2023 = (("whole", (1, 2, 3)), ("core", (1, 3)), ("enhancing", (3,)))


def find(root, *, masks=True, **changed):
    return nifti.find_patients(root, replace(WANTED, **changed), masks=masks).patients


def read(root, **changed):
    """The only exam's volume."""
    (patient,) = find(root, **changed)
    return read_volume(patient)


def sizes(volume):
    return volume.regions.sum(axis=(1, 2, 3)).tolist()


def test_row_1_every_cut_file_of_all_exams_is_named_at_once(tmp_path):
    for number in range(3):
        write_exam(tmp_path / f"P{number}")
    for name in ("P0/P0_t2.nii.gz", "P0/P0_seg.nii.gz", "P2/P2_flair.nii.gz"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-12])

    with pytest.raises(DataError) as refused:
        read_patients(find(tmp_path))

    assert len(refused.value.faults) == 3
    for fault, name in zip(
        sorted(refused.value.faults), ("P0_seg", "P0_t2", "P2_flair"), strict=True
    ):
        assert f"{name}.nii.gz is damaged" in fault and "Copy it anew" in fault


def test_row_2_a_turned_bit_is_found_wherever_it_is_or_changes_nothing(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", voxels_of("a", (20, 20, 12)))
    whole, voxels = path.read_bytes(), read_file(path).voxels(None)
    found = 0

    for place in random.Random(0).sample(range(len(whole)), 60):
        for_once = bytearray(whole)
        for_once[place] ^= 1 << place % 8
        path.write_bytes(for_once)
        try:
            assert (read_file(path).voxels(None) == voxels).all()
        except DataError as error:
            assert str(path) in str(error)
            found += 1

    assert found >= 57  # a name and a time in the header of gzip mean nothing


def test_row_3_a_site_that_numbers_otherwise_says_so(tmp_path):
    write_exam(tmp_path / "P1", labels=(1, 2, 3))

    with pytest.raises(DataError, match=r"P1_seg.nii.gz holds the value 3 \(2 voxels\), which no"):
        read(tmp_path)
    assert sizes(read(tmp_path, renumbered=((3, 4),))) == [6, 4, 2]


def test_row_4_the_cavity_of_2024_is_refused_until_the_study_ignores_it(tmp_path):
    write_exam(tmp_path / "P1", labels=(1, 2, 3, 4))

    with pytest.raises(DataError, match=r"the value 4 \(2 voxels\).*ignored_labels"):
        read(tmp_path, regions=IN_2023)
    assert sizes(read(tmp_path, regions=IN_2023, ignored=(4,))) == [6, 4, 2]


def test_row_6_the_mask_of_case_355(tmp_path):
    exam = write_exam(tmp_path / "BraTS20_Training_355", mask=None, end=".nii")
    write_nifti(exam / "W39_1998.09.19_Segm.nii", labels_of(SHAPE))

    (patient,) = find(tmp_path)

    assert [path.name for path in patient.masks] == ["W39_1998.09.19_Segm.nii"]
    assert sizes(read_volume(patient)) == [6, 4, 2]


def test_row_7_packed_or_not_whatever_the_name_says(tmp_path):
    exam = write_exam(tmp_path / "P1")
    wanted = read(tmp_path).channels
    packed, plain = exam / "P1_t1.nii.gz", exam / "P1_t2.nii.gz"
    packed.rename(exam / "P1_t1.nii")
    plain.write_bytes(gzip.decompress(plain.read_bytes()))

    assert (read(tmp_path).channels == wanted).all()

    plain.with_suffix("").write_bytes(plain.read_bytes())
    with pytest.raises(DataError, match=r"channel t2: P1_t2.nii and P1_t2.nii.gz could be"):
        find(tmp_path)


def test_row_8_a_mask_of_0_and_255(tmp_path):
    write_exam(tmp_path / "P1", labels=(255,))

    with pytest.raises(DataError, match="the value 255"):
        read(tmp_path)
    assert sizes(read(tmp_path, regions=(("tumour", (255,)),))) == [2]
    assert sizes(read(tmp_path, renumbered=((255, 1),))) == [2, 2, 0]


@pytest.mark.parametrize("value", [10.92, 0.5, np.nan, np.inf])
def test_row_9_values_that_are_no_whole_numbers_are_refused(tmp_path, value):
    write_exam(tmp_path / "P1", labels=labels_of(SHAPE, (value,), np.float32))

    with pytest.raises(DataError, match=r"P1_seg.nii.gz holds 2 values that are no whole numbers"):
        read(tmp_path)


def test_row_9_whole_numbers_as_floats_are_taken(tmp_path):
    write_exam(tmp_path / "P1", labels=labels_of(SHAPE, (1.0,), np.float64))

    assert sizes(read(tmp_path)) == [2, 2, 0]


def test_row_10_channels_of_different_shape_are_refused_with_both(tmp_path):
    write_exam(tmp_path / "P1", arrays={"t2": voxels_of("t2", (8, 9, 7))})

    with pytest.raises(DataError, match=r"P1_t2.nii.gz is 8 x 9 x 7, .*P1_seg.nii.gz is 8 x 9 x 6"):
        read(tmp_path)


def test_row_11_a_mask_of_other_shape_than_the_images_is_refused(tmp_path):
    write_exam(tmp_path / "P1", labels=labels_of((8, 9, 8)))

    with pytest.raises(DataError) as refused:
        read(tmp_path)

    assert len(refused.value.faults) == 4
    assert "8 x 9 x 6" in str(refused.value) and "8 x 9 x 8" in str(refused.value)


TURNED = RAS @ np.array(
    [
        [np.cos(0.1), -np.sin(0.1), 0, 0],
        [np.sin(0.1), np.cos(0.1), 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]
)
MOVED = RAS + np.array([[0, 0, 0, 0.5], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("other", [TURNED, MOVED, LPS])
def test_row_12_one_shape_but_elsewhere_is_refused(tmp_path, other):
    exam = write_exam(tmp_path / "P1")
    write_nifti(exam / "P1_t2.nii.gz", voxels_of("t2", SHAPE), other)

    with pytest.raises(DataError, match=r"P1_t2.nii.gz lies elsewhere than .*P1_seg.nii.gz.* mm"):
        read(tmp_path)


def test_row_12_differences_of_rounding_are_taken(tmp_path):
    exam = write_exam(tmp_path / "P1")
    write_nifti(exam / "P1_t2.nii.gz", voxels_of("t2", SHAPE), RAS + 1e-8 * np.eye(4))

    assert read(tmp_path).channels.shape == (4, 6, 9, 8)


def test_row_12_a_channel_elsewhere_is_resampled_where_the_study_says_so(tmp_path):
    exam = write_exam(tmp_path / "P1")
    wanted = read(tmp_path)
    image = nib.load(exam / "P1_t2.nii.gz")
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PIL"))
    turned.to_filename(exam / "P1_t2.nii.gz")

    with pytest.raises(DataError, match='align = "resample"'):
        read(tmp_path)
    found = read(tmp_path, align="resample")

    assert found.channels[2] == pytest.approx(wanted.channels[2], abs=0.01)


def test_row_13_sheared_axes_are_refused(tmp_path):
    sheared = RAS.copy()
    sheared[0, 1] = 0.05
    write_exam(tmp_path / "P1", affine=sheared, codes=(1, 0))

    with pytest.raises(DataError, match="do not stand at right angles"):
        find(tmp_path)


@pytest.mark.parametrize("channel", ["t1ce", "t2", "seg"])
def test_row_14_a_file_of_several_volumes_is_refused(tmp_path, channel):
    exam = write_exam(tmp_path / "P1")
    write_nifti(exam / f"P1_{channel}.nii.gz", np.zeros((*SHAPE, 3), np.uint8))

    with pytest.raises(DataError, match=rf"P1_{channel}.nii.gz (holds|is a mask of) 3 volumes"):
        read(tmp_path)


def test_row_14_an_axis_of_one_volume_is_none(tmp_path):
    exam = write_exam(tmp_path / "P1")
    write_nifti(exam / "P1_t2.nii.gz", voxels_of("t2P1", SHAPE)[..., None])

    assert read(tmp_path).channels.shape == (4, 6, 9, 8)


def test_row_15_an_exam_without_a_channel(tmp_path):
    for number in range(3):
        write_exam(tmp_path / f"P{number}", channels=BRATS20[: 3 if number else 4])

    with pytest.raises(
        DataError, match=r"2 of 3 exams have no channel flair: P1, P2\. .*missing_c"
    ):
        find(tmp_path)
    found = nifti.find_patients(tmp_path, replace(WANTED, missing="zero"))
    zero = read_volume(found.patients[1])
    other = read_volume(find(tmp_path, missing="substitute:t2")[1])

    assert not zero.channels[3].any() and zero.channels.dtype == np.int16
    assert (other.channels[3] == other.channels[2]).all()
    assert [(one.reason, one.count) for one in found.left_out] == [
        ("Exams without the channel flair, filled with zeros", 2)
    ]


def test_row_15_a_whole_site_without_a_channel_is_one_sentence(tmp_path):
    for number in range(130):
        (tmp_path / f"P{number}").mkdir()
        for name in ("t1", "seg"):
            (tmp_path / f"P{number}" / f"P{number}_{name}.nii").touch()

    with pytest.raises(DataError) as refused:
        find(tmp_path, channels=("t1", "t2"))

    (fault,) = refused.value.faults
    assert "130 of 130 exams have no channel t2: P0, P1, P10, " in fault
    assert "and 30 more. Files there end in t1." in fault


def test_row_15_the_endings_told_are_of_the_exams_that_lack_the_channel(tmp_path):
    for number in range(3):
        write_exam(tmp_path / f"P{number}", channels=("t1", "fl" if number else "flair", "t2"))

    with pytest.raises(DataError, match=r"Files there end in fl, t1, t2\. "):
        find(tmp_path, channels=("t1", "flair"))


def test_row_15_neither_a_substitute_that_is_missing_too_nor_nothing_at_all(tmp_path):
    write_exam(tmp_path / "P1", channels=("t1", "t1ce"))

    with pytest.raises(DataError, match="no channel t2"):
        find(tmp_path, missing="substitute:flair")
    with pytest.raises(DataError, match="P1 has none of the channels"):
        find(tmp_path, channels=("t2", "flair"), missing="zero")


def test_row_18_two_exams_of_one_patient_never_stand_in_two_splits(tmp_path):
    for exam in ("1-000", "1-001", "1-002", "2-000", "2-001", "3-000", "4-000", "5-000"):
        write_exam(tmp_path / f"BraTS-GLI-0000{exam}", sep="-", shape=(5, 5, 5))
    data = Data(
        root="x",
        format="nifti",
        channels=WANTED.channels,
        labels=dict(WANTED.regions),
        split=Split(validation=0.2, test=0.4),
    )

    for seed in range(10):
        placed = split_patients(find(tmp_path), data.split, seed)
        splits = {p.person: {q.split for q in placed if q.person == p.person} for p in placed}
        assert all(len(own) == 1 for own in splits.values())
        assert sorted(s for own in splits.values() for s in own) == [
            "test",
            "test",
            "train",
            "train",
            "validation",
        ]
    assert len(open_patients(find(tmp_path), data)) == 8


def test_row_20_labels_saved_and_loaded_five_times_stay_what_they_were(tmp_path):
    exam = write_exam(tmp_path / "P1")
    path = exam / "P1_seg.nii.gz"
    wanted = sizes(read(tmp_path))
    for _ in range(5):
        image = nib.load(path)
        again = nib.Nifti1Image(image.get_fdata() - 1e-5, image.affine)
        again.set_data_dtype(np.int16)
        again.to_filename(path)

    slope = nib.load(path).dataobj.slope
    assert slope != 1 and (nib.load(path).get_fdata() % 1).any()
    assert sizes(read(tmp_path)) == wanted


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16])
def test_row_20_labels_that_were_saved_as_scaled_integers_are_what_they_were(tmp_path, kind):
    """As nibabel does with floats under the header of a mask: 1 comes back as 1.0039."""
    path = write_exam(tmp_path / "P1") / "P1_seg.nii.gz"
    wanted = sizes(read(tmp_path))
    again = nib.Nifti1Image(nib.load(path).get_fdata(), nib.load(path).affine)
    again.set_data_dtype(kind)
    again.to_filename(path)

    assert nib.load(path).dataobj.slope != 1
    assert sizes(read(tmp_path)) == wanted


@pytest.mark.parametrize("slope", [np.nan, np.inf, 0.0])
def test_row_20_a_slope_that_is_no_number_is_none(tmp_path, slope):
    path = write_exam(tmp_path / "P1") / "P1_seg.nii.gz"
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[112:120] = np.array([slope, slope], "<f4").tobytes()
    path.write_bytes(gzip.compress(data))

    assert sizes(read(tmp_path)) == [6, 4, 2]


def test_row_21_what_a_mac_leaves_beside_a_file_is_skipped_and_said(tmp_path):
    exam = write_exam(tmp_path / "P1")
    (exam / "._P1_t1.nii.gz").write_bytes(b"\0\5\x16\7\0\2")

    found = nifti.find_patients(tmp_path, WANTED)

    assert [(one.count, one.example) for one in found.left_out] == [(1, "P1/._P1_t1.nii.gz")]
    assert "skipped" in found.left_out[0].reason


def test_row_22_voxels_that_are_no_numbers_are_background_and_said(tmp_path):
    odd = voxels_of("t1", SHAPE).astype(np.float32)
    wanted = odd.copy()
    odd[2, 3, 4], odd[0, 0, 0], odd[1, 1, 1] = np.nan, np.inf, -np.inf
    wanted[2, 3, 4] = wanted[0, 0, 0] = wanted[1, 1, 1] = 0
    write_exam(tmp_path / "P1", arrays={"t1": odd})

    (patient,) = read_patients(find(tmp_path))
    volume = read_volume(patient)

    assert (volume.grid.to_file(volume.channels[1]) == wanted).all()
    remark = next(one for one in remarks_of([patient]) if "no numbers" in one.reason)
    assert remark.example == "P1, P1_t1.nii.gz: 3 of 432"


@pytest.mark.parametrize("value", [0, 7, np.nan])
def test_row_22_a_channel_of_one_grey_level_is_said(tmp_path, value):
    write_exam(tmp_path / "P1", arrays={"t1": np.full(SHAPE, value, np.float32)})

    (patient,) = read_patients(find(tmp_path))

    remark = next(one for one in remarks_of([patient]) if "one grey level" in one.reason)
    assert (remark.count, remark.example) == (1, "P1, P1_t1.nii.gz")


@pytest.mark.parametrize("channel", ["t1ce", "t2", "seg"])
def test_row_23_a_pointer_of_git_lfs_is_refused(tmp_path, channel):
    exam = write_exam(tmp_path / "P1")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (exam / f"P1_{channel}.nii.gz").write_bytes(pointer)

    with pytest.raises(DataError, match=rf"P1_{channel}.nii.gz is a pointer of Git LFS.*git lfs"):
        read(tmp_path)


def test_row_23_two_places_in_one_file_are_refused(tmp_path):
    exam = write_exam(tmp_path / "P1")
    image = nib.Nifti1Image(voxels_of("t2", SHAPE), RAS)
    image.set_sform(RAS, 1)
    image.set_qform(LPS, 1)
    image.to_filename(exam / "P1_t2.nii.gz")

    with pytest.raises(
        DataError, match=r"P1_t2.nii.gz says of two places where it lies.* mm apart"
    ):
        read(tmp_path)


def test_files_that_say_nothing_of_where_they_lie_are_taken_and_said(tmp_path):
    write_exam(tmp_path / "P1", codes=(0, 0))

    (patient,) = read_patients(find(tmp_path))

    assert any("where left and right are" in one.reason for one in remarks_of([patient]))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"hello", "is no NIfTI file"),
        (gzip.compress(b"hello", mtime=0), "is no NIfTI file"),
        (b"\x1f\x8b" + b"x" * 50, "is damaged"),
    ],
)
@pytest.mark.parametrize("channel", ["t1ce", "flair", "seg"])
def test_a_file_that_is_something_else_is_refused(tmp_path, data, said, channel):
    exam = write_exam(tmp_path / "P1")
    (exam / f"P1_{channel}.nii.gz").write_bytes(data)

    with pytest.raises(DataError, match=rf"P1_{channel}.nii.gz {said}"):
        read(tmp_path)


def test_a_file_of_five_axes_says_how_many_volumes_it_holds(tmp_path):
    exam = write_exam(tmp_path / "P1")
    write_nifti(exam / "P1_t2.nii.gz", np.zeros((*SHAPE, 1, 3), np.int16))

    with pytest.raises(
        DataError, match="holds 3 volumes, where one is expected: 8 x 9 x 6 x 1 x 3"
    ):
        read(tmp_path)


def test_a_mask_of_nearly_all_is_told_of_once_with_the_studys_own_values(tmp_path):
    write_exam(tmp_path / "P1", labels=np.full(SHAPE, 4, np.uint8))

    with pytest.raises(
        DataError, match=r"as 5 more of it do: is it inverted\? The study's"
    ) as error:
        read_patients(find(tmp_path))
    assert "255" not in str(error.value)


@pytest.mark.parametrize("value", [-1, 70_000])
def test_values_that_no_study_can_name_are_refused_with_their_mask(tmp_path, value):
    write_exam(tmp_path / "P1", labels=labels_of(SHAPE, (1, value), np.int32))

    for opened in (recognise, read):
        with pytest.raises(DataError, match=rf"P1_seg.nii.gz holds the value {value} \(2 voxels"):
            opened(tmp_path)


def test_an_image_in_the_place_of_a_mask_is_told_by_its_many_values(tmp_path):
    write_exam(tmp_path / "P1", labels=np.arange(432, dtype=np.int16).reshape(SHAPE))

    with pytest.raises(DataError, match="holds 432 values: is it an image"):
        recognise(tmp_path)

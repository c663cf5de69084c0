"""What a hospital could hand over and nobody would notice: each is told apart, or refused."""

import gzip
from itertools import chain, combinations

import nibabel as nib
import numpy as np
import pytest

from nifti_files import write_exam, write_head
from roundelay.data.formats.dicom_channels import channel_of
from roundelay.data.formats.nifti import find_patients
from roundelay.data.formats.nifti_file import read_file
from roundelay.data.image_settings import ImageSettings
from roundelay.data.opening import read_patients
from roundelay.data.preprocessing import Preprocessing
from roundelay.data.regions import label_values, regions_and_values
from roundelay.data.slice_cache import SliceCache
from roundelay.errors import DataError
from roundelay.site.cohort import open_cohort
from roundelay.study.file import parse_study

WHOLE = (("whole", (1, 2, 4)), ("core", (1, 4)), ("enhancing", (4,)))


def settings(**more):
    return ImageSettings(**{"channels": ("t2", "flair"), "regions": WHOLE, **more})


def test_a_file_that_is_another_channel_now_is_cut_anew(tmp_path):
    folder = write_exam(tmp_path / "data" / "P1", channels=("t2",))
    seen, kept = Preprocessing("zscore", "none", 32), tmp_path / "kept"

    def cut():
        (found,) = find_patients(tmp_path / "data", settings(missing="zero")).patients
        (patient,) = read_patients([found])
        return patient.digest, SliceCache(seen, kept).slice(patient, 2)[0].copy()

    before, first = cut()
    (folder / "P1_t2.nii.gz").rename(folder / "P1_flair.nii.gz")
    after, second = cut()

    assert before != after
    assert np.array_equal(first, second[..., ::-1]) and not np.array_equal(first, second)


@pytest.mark.parametrize(
    "regions",
    [
        WHOLE,
        (("nonenhancing", (1, 2)), ("core", (1, 4))),
        (("a", (1, 2)), ("b", (2, 3))),
        (("whole", (1, 2, 4)), ("core", (1, 4)), ("nonenhancing", (1, 2))),
        (("tumour", (2, 5)),),
    ],
)
def test_what_a_mask_can_say_is_read_back_as_it_was_written(regions):
    own = settings(regions=regions)
    values = sorted({value for _, of in regions for value in of})
    labels = np.array([0, *values], np.uint8)

    meant, _ = regions_and_values(labels, own, "a mask")

    again, met = regions_and_values(label_values(meant, own), own, "a mask")
    assert np.array_equal(again, meant) and set(met) <= set(values)


def test_of_regions_that_no_value_has_together_the_smallest_is_written():
    marked = np.array(list(chain(*(combinations(range(3), n) for n in range(4)))), object)
    regions = np.array([[n in one for one in marked] for n in range(3)])

    found = label_values(regions, settings())

    assert [(value == 4) for value in found] == [2 in one for one in marked]


def test_a_value_renumbered_to_one_that_no_region_names_is_told_with_that_number():
    labels = np.array([[[0, 1], [2, 3]]])

    with pytest.raises(DataError, match=r"this site's labels renumber 3 to 7\)"):
        regions_and_values(labels, settings(renumbered=((3, 7),)), "a mask")


def test_a_value_that_another_was_renumbered_to_is_refused_until_it_has_a_word():
    labels = np.array([0, 1, 3, 4])

    with pytest.raises(DataError, match=r"the value 4 \(1 voxel\), to which .*: \{4 = 4\}"):
        regions_and_values(labels, settings(renumbered=((3, 4),)), "a mask")
    said = settings(renumbered=((3, 4), (4, 0)))
    assert regions_and_values(labels, said, "a mask")[0][2].tolist() == [False, False, True, False]


def test_a_value_that_means_something_else_at_the_site_is_not_written():
    regions = np.array([[True], [True], [False]])  # necrosis, the study's 1

    with pytest.raises(DataError, match=r"its own 1 means 4"):
        label_values(regions, settings(renumbered=((1, 4),)))


STUDY = """
name = "odd"
[data]
root = "data"
format = "nifti"
channels = ["t1ce", "t1", "t2", "flair"]
sites = "SITES"
[data.labels]
whole = [1, 2, 4]
[sites.NAME]
labels = { 3 = 4 }
"""


def cohort(tmp_path, sites, name):
    for number, folder in enumerate(("1", "2")):
        write_head(tmp_path / "data" / folder, number)
    (tmp_path / "sites.csv").write_text("patient,site\n1,A\n2,1\n")
    text = STUDY.replace("SITES", sites).replace("NAME", name)
    return open_cohort(parse_study(text, where="a study", folder=tmp_path))


def test_a_site_is_not_taken_for_a_patient_of_its_name(tmp_path):
    found = cohort(tmp_path, "table:sites.csv", "1").sites

    assert found["A"][0].settings.renumbered == ()
    assert found["1"][0].settings.renumbered == ((3, 4),)


@pytest.mark.parametrize(
    ("sites", "name", "said"),
    [
        ("table:sites.csv", "a", r"\[sites\.a\] stands in the study, which has no such site\."),
        ("institution", "A", r"\[sites\.A\] stands in the study, which has no such site"),
        ("chunks:2", "chunk-1", r"chunks mix those of all"),
    ],
)
def test_what_is_said_of_no_site_is_refused(tmp_path, sites, name, said):
    with pytest.raises(DataError, match=said):
        cohort(tmp_path, sites, name)


def image(path, shape=(8, 9, 6)):
    rng = np.random.default_rng(0)
    made = nib.Nifti1Image(rng.integers(1, 900, shape).astype(np.int16), np.diag([-1, -1, 1, 1.0]))
    made.set_sform(made.affine, 1)
    made.set_qform(made.affine, 1)
    made.to_filename(path)
    return made


def test_a_tilt_that_a_quaternion_rounds_is_no_other_place(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(100):
        angle = np.deg2rad(rng.uniform(-1.5, 1.5, 2))
        x, y = (np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angle)
        turn = np.eye(4)
        turn[1:3, 1:3] = x
        other = np.eye(4)
        other[:2, :2] = y
        affine = turn @ other @ np.diag([-0.5, 0.5, 5.0, 1.0])
        made = nib.Nifti1Image(np.ones((256, 256, 24), np.int8), affine)
        made.set_sform(affine, 1)
        made.set_qform(affine, 1)
        made.to_filename(path := tmp_path / f"{number}.nii")

        assert read_file(path).grid("auto").shape == (256, 256, 24)
        path.unlink()


def test_a_header_that_speaks_of_more_than_is_there_names_its_file(tmp_path):
    image(path := tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    data[42:48] = (32_767).to_bytes(2, "little") * 3

    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.nii is damaged"):
        read_file(path)
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(DataError, match=r"a\.nii says that it holds .* GiB"):
        read_file(path)


def test_what_stands_behind_the_last_voxel_is_not_unpacked(tmp_path):
    image(path := tmp_path / "a.nii")
    path.write_bytes(gzip.compress(path.read_bytes() + bytes(64 << 20)))

    with pytest.raises(DataError, match=r"more stands in it than its header speaks of"):
        read_file(path)


def test_a_long_extension_of_the_header_is_read_over(tmp_path):
    made = image(path := tmp_path / "a.nii.gz")
    made.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100_000))
    made.to_filename(path)

    (patient,) = [read_file(path)]
    assert np.array_equal(patient.voxels(None), np.asanyarray(made.dataobj))


def test_metres_are_refused(tmp_path):
    made = image(path := tmp_path / "a.nii.gz")
    made.header.set_xyzt_units("meter")
    made.to_filename(path)

    with pytest.raises(DataError, match="measures its voxels by the meter"):
        read_file(path).grid("auto")


@pytest.mark.parametrize(
    ("description", "channel"),
    [
        ("AX T1 FLAIR", None),
        ("Ax T1 FLAIR +C", None),
        ("AX T1 W/O CONTRAST", "t1"),
        ("AX T1 WO C", "t1"),
        ("T1 C-", "t1"),
        ("t1_mpr_sag_KM", "t1ce"),
        ("T1 TSE TRA GADO", "t1ce"),
        ("T1 SUBTRACTION", None),
        ("SURVEY T1", None),
        ("T2 MAP", None),
        ("ADC T2", None),
        ("AX T2 FLAIR", "flair"),
    ],
)
def test_a_series_of_another_weighting_is_no_channel(description, channel):
    assert channel_of(description) == channel

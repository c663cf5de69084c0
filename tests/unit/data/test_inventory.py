"""Which channels and label values exams have, in every layout, whether or not they fit a study."""

from dataclasses import replace

import pytest

from dicom_files import blob, grey, write_seg, write_series
from nifti_files import write_exam
from roundelay.data.formats import dicom, nifti, nnunet
from roundelay.data.image_settings import ImageSettings
from roundelay.data.inventory import Inventory, inventory_in, inventory_of
from roundelay.data.opening import read_patients

SETTINGS = ImageSettings(channels=("t1", "t2"), regions=(("whole", (1, 2, 4)),))


@pytest.fixture
def exams(tmp_path):
    """Three exams with t1 and flair, one of them with t2 too and a 3 in its mask."""
    for number in range(3):
        channels = ("t1", "flair", *(["t2"] if number == 0 else []))
        labels = (1, 3) if number == 0 else (1, 2)
        write_exam(tmp_path / f"P-{number}", channels=channels, labels=labels)
    return tmp_path


def test_exams_that_fit_no_study_are_counted(exams):
    assert inventory_in(nifti, exams, SETTINGS) == Inventory(
        3, ("t1", "t2", "flair"), {"t2": 2}, (1, 2, 3)
    )

    (exams / "P-2" / "P-2_seg.nii.gz").write_bytes(b"no mask")
    (exams / "P-1" / "P-1_flair.nii.gz").write_bytes(b"no image")
    assert inventory_in(nifti, exams, SETTINGS).exams == 2


def test_a_site_that_says_what_it_has_otherwise_has_that(exams):
    own = replace(SETTINGS, renumbered=((3, 4),), named=(("t2", "flair"),))

    assert inventory_in(nifti, exams, own) == Inventory(3, ("t1", "t2", "flair"), {}, (1, 2, 4))


def test_a_channel_that_no_exam_has_and_a_folder_without_exams(exams, tmp_path_factory):
    own = ImageSettings(channels=("dwi",), regions=SETTINGS.regions)

    assert inventory_in(nifti, exams, own).missing == {"dwi": 3}
    assert inventory_in(nifti, tmp_path_factory.mktemp("empty"), own) is None
    assert inventory_in(nnunet, exams, own) is None


@pytest.mark.parametrize("missing", ["zero", "substitute:t1"])
def test_exams_that_were_opened_say_the_same(exams, missing):
    own = replace(SETTINGS, missing=missing, ignored=(3,))
    found = nifti.find_patients(exams, own).patients

    assert inventory_of(read_patients(found)) == Inventory(3, ("t1", "t2"), {"t2": 2}, (1, 2, 3))


def test_series_and_segments_of_dicom(tmp_path):
    series = write_series(tmp_path, grey(), description="AX T1")
    write_seg(tmp_path / "seg.dcm", series, {"a": blob(), "b": blob(seed=1)})

    assert inventory_in(dicom, tmp_path, SETTINGS) == Inventory(1, ("t1",), {"t2": 1}, (1, 2))

"""DICOM exams as the parts of a study name them: by patient, by site, before a study is known."""

import json

import pydicom
import pytest

from dicom_files import blob, grey, write_seg, write_series
from roundelay.data.formats import dicom
from roundelay.data.image_settings import ANY, ImageSettings
from roundelay.data.sites import settings_at_sites
from roundelay.errors import DataError
from roundelay.site.cohort import open_cohort
from roundelay.study.study import Study


@pytest.fixture
def root(tmp_path):
    """A with two exams, B with one whose series is called otherwise."""
    for patient, study, text in (("A", "1", "FLAIR"), ("A", "2", "FLAIR"), ("B", "1", "dark")):
        folder = tmp_path / "data" / patient / study
        paths = write_series(folder, grey(), patient=patient, study=study, description=text)
        write_seg(folder / "seg.dcm", paths, {"tumour": blob()})
    return tmp_path / "data"


def study(root, table, **sites):
    (root / "sites.csv").write_text(f"patient,site\n{table}")
    data = {"root": str(root), "format": "dicom", "channels": ["flair"], "labels": {"tumour": [1]}}
    data["sites"] = f"table:{root / 'sites.csv'}"
    return Study.model_validate_json(json.dumps({"name": "x", "data": data, "sites": sites}))


@pytest.mark.parametrize("rows", ["A,NORTH\n", "A_20240105,NORTH\nA_20240105_2,NORTH\n"])
def test_a_table_names_a_patient_or_exams_and_a_site_reads_its_own_names(root, rows):
    east = {"channels": {"flair": "dark"}, "labels": {"1": 0, "7": 1}}

    sites = open_cohort(study(root, f"{rows}B,EAST\n", EAST=east)).sites

    assert {site: [p.id for p in own] for site, own in sites.items()} == {
        "NORTH": ["A_20240105", "A_20240105_2"],
        "EAST": ["B"],
    }
    assert dicom.read_volume(sites["NORTH"][0]).reference.any()
    assert not dicom.read_volume(sites["EAST"][0]).reference.any()
    assert all(not p.settings.elsewhere for own in sites.values() for p in own)


@pytest.mark.parametrize("rows", ["A,NORTH\n", "A_20240105,NORTH\nA_20240105_2,NORTH\n"])
def test_a_site_that_says_something_of_a_patient_says_it_of_all_exams(root, rows):
    north = {"channels": {"flair": "flair*"}, "labels": {"1": 0}}
    said = study(root, f"{rows}B,EAST\n", NORTH=north, EAST={"channels": {"flair": "dark"}})

    found = dicom.find_patients(root, settings_at_sites(said)).patients

    assert [dict(p.settings.renumbered) for p in found] == [{1: 0}, {1: 0}, {}]


def test_where_no_table_is_all_exams_stand_at_one_site_that_may_say_something(root):
    said = study(root, "A,NORTH\n", all={"channels": {"flair": "*a*"}})
    said = said.model_copy(update={"data": said.data.model_copy(update={"sites": "institution"})})

    assert [p.id for p in open_cohort(said).sites["all"]] == ["A_20240105", "A_20240105_2", "B"]


def test_before_a_study_is_known_exams_are_found_and_no_channel_is_looked_for(root):
    def tilted(dataset, number):
        dataset.ImagePositionPatient[1] += number * number

    write_series(root / "B" / "1" / "loc", grey(seed=1), patient="B", study="1",
                 description="localizer", change=tilted)  # fmt: skip

    found = dicom.find_patients(root, ANY).patients

    assert [(p.id, len(p.images), len(p.masks)) for p in found] == [
        ("A_20240105", 6, 1),
        ("A_20240105_2", 6, 1),
        ("B", 12, 1),
    ]


def test_exams_that_can_not_be_used_are_left_out_where_the_study_says_so(root):
    settings = ImageSettings(channels=("flair",), on_bad_exam="leave-out")

    found = dicom.find_patients(root, settings)

    assert [p.id for p in found.patients] == ["A_20240105", "A_20240105_2"]
    assert any("no series for the channel 'flair'" in str(one) for one in found.left_out)
    with pytest.raises(DataError, match="The data have 3 faults"):
        dicom.find_patients(root, ImageSettings(channels=("adc",), on_bad_exam="leave-out"))


def test_a_table_s_row_of_an_exam_that_was_left_out_is_known(root):
    own = study(root, "A,NORTH\nB,EAST\n")
    leaving_out = own.data.model_copy(update={"on_bad_exam": "leave-out"})

    sites = open_cohort(own.model_copy(update={"data": leaving_out})).sites

    assert [*sites] == ["NORTH"]


def test_files_of_no_patient_are_told_of_in_one_sentence(tmp_path):
    write_series(tmp_path, grey(), patient="")

    with pytest.raises(DataError, match="has no PatientID, nor have 5 other files: whose") as error:
        dicom.find_patients(tmp_path, ImageSettings(channels=("flair",)))
    assert len(error.value.faults) == 1


def test_a_file_of_no_patient_is_refused_even_where_exams_may_be_left_out(root):
    """It may be a slice at the edge of a series that would be taken for whole without it."""
    settings = ImageSettings(channels=("flair",), on_bad_exam="leave-out")
    path = next(path for path in sorted((root / "A" / "1").glob("*.dcm")) if path.stem != "seg")
    dataset = pydicom.dcmread(path)
    dataset.PatientID = ""
    dataset.save_as(path)

    with pytest.raises(DataError, match=f"{path.name} has no PatientID"):
        dicom.find_patients(root, settings)

"""MONAI's lists: what is found, in which order of channels, and under which names."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, entry, said, voxels, write_json, write_nifti
from roundelay.data.formats.datalist import (
    channels_and_labels,
    find_patients,
    looks_like,
    read_volume,
)
from roundelay.data.formats.datalist_json import case_name
from roundelay.data.formats.known import FORMATS
from roundelay.data.image_settings import ANY
from roundelay.data.patients import Source
from roundelay.errors import DataError

CASES = ["BraTS20_Training_001", "BraTS20_Training_002", "BraTS20_Training_003"]


@pytest.fixture
def list_(tmp_path):
    return files.monai(tmp_path / "set", CASES)


def refused(path, match, settings=SETTINGS, **how):
    with pytest.raises(DataError, match=match) as caught:
        find_patients(path, settings, **how)
    return caught.value


class TestFinding:
    def test_images_stand_in_the_order_of_the_study_s_channels(self, list_):
        found = find_patients(list_, SETTINGS)

        assert [p.id for p in found.patients] == CASES
        first, folder = found.patients[0], list_.parent / CASES[0]
        assert first.channels == tuple(
            Source(folder / f"{CASES[0]}_{name}.nii.gz") for name in files.CHANNELS
        )
        assert (first.format, first.slices, first.site) == ("datalist", 4, "all")
        assert (first.split, first.drawn) == (None, ("validation", "test"))
        assert found.left_out == ()

    def test_a_folder_of_one_list_is_that_list(self, list_):
        write_json(list_.parent / "settings.json", {"spacing": 1})

        found = find_patients(list_.parent, SETTINGS)

        assert {p.site for p in found.patients} == {"all"} and len(found.patients) == 3
        assert "no lists of exams, not read: 1 (settings.json)" in said(found)

    def test_of_several_lists_each_is_a_site_s(self, list_):
        list_.unlink()
        for site, case in zip(("north", "Süd"), CASES, strict=False):
            write_json(list_.parent / f"{site}.json", {"training": [entry(case)]})

        found = find_patients(list_.parent, SETTINGS)

        placed = {p.site: p.id for p in found.patients}
        assert placed == {"north": CASES[0], "Süd": CASES[1]} and len(found.patients) == 2

    def test_a_list_named_as_no_site_may_be_is_refused(self, list_):
        write_json(list_.parent / "server.json", {"training": [entry(CASES[0])]})

        refused(list_.parent, r"server\.json is no site's list: .*Rename it")

    def test_one_patient_at_two_sites_is_refused(self, list_):
        write_json(list_.parent / "other.json", {"training": [entry(CASES[0])]})

        refused(list_.parent, rf"are both the case {CASES[0]}: a leak between splits or sites")

    def test_a_file_of_four_dimensions_is_all_channels(self, tmp_path):
        images, mask = voxels(0)
        write_nifti(tmp_path / "BRATS_001.nii.gz", np.moveaxis(images, 0, -1))
        write_nifti(tmp_path / "seg.nii.gz", mask)
        path = tmp_path / "list.json"
        write_json(path, {"training": [{"image": "BRATS_001.nii.gz", "label": "seg.nii.gz"}]})

        (patient,) = find_patients(path, SETTINGS).patients

        assert patient.id == "BRATS_001"
        assert patient.channels == tuple(Source(tmp_path / "BRATS_001.nii.gz", n) for n in range(4))
        refused(path, "4 channels, where 3 are", replace(SETTINGS, channels=("a", "b", "c")))

    def test_a_file_of_three_dimensions_is_one_channel(self, list_):
        write_json(list_, {"training": [{**entry(CASES[0]), "image": entry(CASES[0])["image"][3]}]})

        refused(list_, "is 6 x 5 x 4: 1 channel, where 4 are expected")
        (patient,) = find_patients(list_, replace(SETTINGS, channels=("flair",))).patients
        assert patient.channels[0].volume is None

    def test_files_elsewhere_are_read_where_they_are_files(self, list_, tmp_path):
        shutil.move(list_.parent / CASES[0], tmp_path / CASES[0])
        own = entry(CASES[0])
        images = [str(tmp_path / name) for name in own["image"]]
        write_json(list_, {"training": [{"image": images, "label": f"../{own['label']}"}]})

        (patient,) = find_patients(list_, SETTINGS).patients

        assert read_volume(patient).regions.any()

    def test_entries_without_a_label_are_predicted_alone(self, list_):
        lists = {
            "training": [entry(CASES[0]), {**entry(CASES[1]), "label": None}],
            "testing": [{"image": entry(CASES[2])["image"]}],
        }
        write_json(list_, lists)

        trained = find_patients(list_, SETTINGS)
        predicted = find_patients(list_, SETTINGS, masks=False)

        assert [p.id for p in trained.patients] == CASES[:1]
        assert f"without a label, left out: 2 (the first: {CASES[1]})" in said(trained)
        assert trained.patients[0].drawn == ("validation", "test")
        assert [(p.id, len(p.masks)) for p in predicted.patients] == list(
            zip(CASES, (1, 0, 0), strict=True)
        )

    def test_plain_strings_are_images(self, tmp_path):
        write_nifti(tmp_path / "x_1.nii.gz", voxels(0)[0][0])
        write_json(tmp_path / "list.json", {"test": ["x_1.nii.gz"]})

        one = replace(SETTINGS, channels=("t1",))
        found = find_patients(tmp_path / "list.json", one, masks=False)

        assert [p.id for p in found.patients] == ["x_1"]
        refused(tmp_path / "list.json", "lists no exam that has a label", one)

    def test_a_site_s_list_in_another_order(self, list_):
        named = (("t1ce", "0001"), ("t1", "0000"))

        first = find_patients(list_, replace(SETTINGS, named=named)).patients[0]

        names = [source.path.name.split("_")[-1] for source in first.channels]
        assert names == ["t1.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "flair.nii.gz"]

    @pytest.mark.parametrize(
        ("named", "match"),
        [
            ((("t1", "T1w"),), "calls the channel t1 'T1w'. A list names no channels"),
            ((("t1", "0004"),), '"0000" to "0003"'),
            ((("t1", "0000"),), "t1ce and t1 stand at one place"),
        ],
    )
    def test_a_place_that_can_not_be_is_refused(self, list_, named, match):
        refused(list_, match, replace(SETTINGS, named=named))

    def test_attributes_come_from_the_table_beside(self, list_):
        (list_.parent / "data.csv").write_text(f"patient,age\n{CASES[1]},40\n")

        assert find_patients(list_, SETTINGS).patients[1].attributes == {"age": "40"}


class TestNames:
    @pytest.mark.parametrize(
        ("paths", "name"),
        [
            (["a/Brats18_2013_1_t1ce.nii.gz", "a/Brats18_2013_1_t1.nii.gz"], "Brats18_2013_1"),
            (["a/BraTS-GLI-00001-000-t1n.nii.gz", "a/BraTS-GLI-00001-000-t1c.nii.gz"],
             "BraTS-GLI-00001-000"),
            (["case 7/t1.nii.gz", "case 7/flair.nii.gz"], "case 7"),
            (["t1/p_3.nii", "t2/p_3.nii"], "p_3"),
            (["BRATS_001.nii.gz"], "BRATS_001"),
            (["imagesTr/la_003_0000.nii.gz"], "la_003"),
            (["la_003_0000.nii.gz", "la_003_0001.nii.gz"], "la_003"),
            (["p3/image.nii.gz"], "p3"),
            (["p3/T1w.nii.gz"], "p3"),
        ],
    )  # fmt: skip
    def test_an_exam_is_called_what_its_files_have_in_common(self, paths, name):
        assert case_name([Path(path) for path in paths]) == name

    def test_a_name_that_hides_something_is_refused(self, list_):
        folder = list_.parent / "a\u202eb"
        shutil.copytree(list_.parent / CASES[0], folder)
        images = []
        for name in files.CHANNELS:
            (folder / f"{CASES[0]}_{name}.nii.gz").rename(folder / f"{name}.nii.gz")
            images.append(f"{folder.name}/{name}.nii.gz")
        write_json(list_, {"training": [{**entry(CASES[0]), "image": images}]})

        refused(list_, "entry 1 of training: the name of the case .*U\\+202E.*Rename it")


class TestRecognition:
    def test_a_list_is_known_by_its_keys(self, list_, tmp_path):
        assert looks_like(list_) and looks_like(list_.parent)
        assert not looks_like(tmp_path) and not looks_like(tmp_path / "nowhere.json")
        write_json(tmp_path / "x.json", '{"training": [],}')
        assert not looks_like(tmp_path / "x.json")

    def test_it_says_how_many_channels_and_names_none(self, list_):
        found = channels_and_labels(list_)

        assert (found.count, found.channels, found.regions) == (4, (), {})

    def test_it_says_the_names_that_a_list_has(self, list_):
        modality = {str(n): name for n, name in enumerate(files.NAMES)}
        labels = {"0": "background", "1": "edema", "2": "core"}
        write_json(list_, {"modality": modality, "labels": labels, "training": [entry(CASES[0])]})

        found = channels_and_labels(list_)

        assert found.channels == files.NAMES
        assert found.regions == {"tumour": (1, 2), "edema": (1,), "core": (2,)}


class TestSites:
    def test_a_site_s_list_is_read_as_the_site_says(self, list_):
        list_.unlink()
        for site, case in zip(("north", "south"), CASES, strict=False):
            write_json(list_.parent / f"{site}.json", {"training": [entry(case)]})
        other = replace(SETTINGS, named=(("t1ce", "0001"), ("t1", "0000")))

        found = find_patients(list_.parent, replace(SETTINGS, elsewhere=(("south", other),)))

        firsts = [p.channels[0].path.name.removeprefix(f"{p.id}_") for p in found.patients]
        assert firsts == ["t1ce.nii.gz", "t1.nii.gz"]

    @pytest.mark.parametrize("kind", ["datalist", "msd"])
    def test_before_a_study_is_known_exams_are_found_with_all_their_files(self, kind, tmp_path):
        make, format_ = {"datalist": (files.monai, "datalist"), "msd": (files.msd, "nnunet")}[kind]

        found = FORMATS[format_].find_patients(make(tmp_path, CASES), ANY).patients

        assert [len(p.images) for p in found] == [1 if kind == "msd" else 4] * 3
        assert [p.slices for p in found] == [4] * 3

"""nnU-Net's raw layout: which exams are found, and what is said of the rest."""

import json
import shutil
from dataclasses import replace

import pytest

import nnunet_files as files
from nnunet_files import SETTINGS, in_place, said, voxels, write_nifti
from roundelay.data.formats.nnunet import (
    channels_and_labels,
    find_patients,
    looks_like,
    mask_files,
    read_volume,
)
from roundelay.data.patients import Source
from roundelay.errors import DataError


@pytest.fixture
def root(tmp_path):
    return files.nnunet(tmp_path / "Dataset001_TOY", ["a_1", "b-2", "c"])


def refused(root, match, settings=SETTINGS, **how):
    with pytest.raises(DataError, match=match) as caught:
        find_patients(root, settings, **how)
    return caught.value


def change(root, **values):
    in_place(root / "dataset.json", lambda found: found.update(values))


def without(root, *keys):
    in_place(root / "dataset.json", lambda found: [found.pop(key) for key in keys])


class TestFinding:
    def test_cases_are_patients_with_channels_in_the_study_s_order(self, root):
        found = find_patients(root, SETTINGS)

        assert [patient.id for patient in found.patients] == ["a_1", "b-2", "c"]
        first = found.patients[0]
        assert first.channels == tuple(
            Source(root / "imagesTr" / f"a_1_{number:04}.nii.gz") for number in range(4)
        )
        assert first.masks == (root / "labelsTr" / "a_1.nii.gz",)
        assert (first.format, first.slices, first.split) == ("nnunet", 4, None)
        assert found.left_out == ()

    def test_channels_are_found_by_name_not_by_place(self, root):
        settings = replace(SETTINGS, channels=("FLAIR", "t1c"))

        found = find_patients(root, settings)

        assert [s.path.name for s in found.patients[0].channels] == [
            "a_1_0003.nii.gz",
            "a_1_0000.nii.gz",
        ]
        assert "T1w" in said(found) and "not read: 2" in said(found)

    def test_the_folder_above_and_the_file_itself_name_the_same_set(self, root):
        for place in (root.parent, root / "dataset.json"):
            assert len(find_patients(place, SETTINGS).patients) == 3

    def test_two_sets_in_a_folder_are_refused(self, root):
        files.nnunet(root.parent / "Dataset002_X", ["d"])

        refused(root.parent, "holds 2 sets: Dataset001_TOY, Dataset002_X")

    def test_a_folder_without_a_set_is_refused(self, tmp_path):
        refused(tmp_path, r"holds no dataset\.json")
        refused(tmp_path / "nowhere", "There is no")

    def test_entries_of_dataset_name_their_files_from_the_json_on(self, root):
        images = [f"imagesTr/a_1_{n:04}.nii.gz" for n in range(4)]
        elsewhere = root.parent / "elsewhere.nii.gz"
        shutil.copy(root / "labelsTr" / "a_1.nii.gz", elsewhere)
        entry = {"images": images, "label": "../elsewhere.nii.gz"}
        change(root, dataset={"one": entry}, numTraining=1)

        found = find_patients(root, SETTINGS)

        (patient,) = found.patients
        assert patient.id == "one" and found.left_out == ()
        assert patient.masks[0].samefile(elsewhere)
        assert read_volume(patient).regions.any()

    @pytest.mark.parametrize(
        ("entry", "match"),
        [
            ({"images": ["imagesTr/a_1_0000.nii.gz"], "label": "x"}, "names 1 images.* 4 channels"),
            ({"images": ["imagesTr/no.nii.gz"] * 4, "label": "x"}, "no.nii.gz, which is not there"),
            ({"images": ["imagesTr"] * 4, "label": "x"}, "which is no file"),
            ({"images": [3] * 4, "label": "x"}, "path of a file as a text; it is 3"),
            ({"images": "x"}, "must be as in"),
            ([], "must be as in"),
        ],
    )
    def test_a_faulty_entry_is_named(self, root, entry, match):
        change(root, dataset={"one": entry})

        refused(root, rf"dataset\.one.*{match}")

    def test_a_case_name_that_leads_elsewhere_makes_no_path(self, root):
        images = [f"imagesTr/a_1_{n:04}.nii.gz" for n in range(4)]
        change(root, dataset={"../up": {"images": images, "label": "labelsTr/a_1.nii.gz"}})

        (patient,) = find_patients(root, SETTINGS).patients
        volume = read_volume(patient)

        (name,) = mask_files(patient, volume, volume.regions)
        assert "/" not in name

    def test_cases_to_be_predicted_are_found_without_masks_alone(self, root):
        files.nnunet(root, ["new"], folder="Ts")

        trained = find_patients(root, SETTINGS)
        predicted = find_patients(root, SETTINGS, masks=False)

        assert "which have no mask, left out: 1 (new)" in said(trained)
        assert [p.id for p in predicted.patients] == ["a_1", "b-2", "c", "new"]
        assert [bool(p.masks) for p in predicted.patients] == [True, True, True, False]

    def test_what_is_predicted_needs_no_masks_and_no_known_labels(self, root):
        shutil.rmtree(root / "labelsTr")
        change(root, labels={"background": 0, "other": 9})

        found = find_patients(root, SETTINGS, masks=False)

        assert [bool(p.masks) for p in found.patients] == [False] * 3


class TestLeftOut:
    def test_what_systems_leave_and_other_files_are_counted(self, root):
        (root / "imagesTr" / "._a_1_0000.nii.gz").write_bytes(b"\0\5\x16\7\0\2")
        (root / "imagesTr" / "notes.txt").write_text("x")
        write_nifti(root / "labelsTr" / "lone.nii.gz", voxels(0)[1])

        found = find_patients(root, SETTINGS)

        assert len(found.patients) == 3
        assert "skipped: 1 (imagesTr/._a_1_0000.nii.gz)" in said(found)
        assert "not read: 1 (imagesTr/notes.txt)" in said(found)
        assert "Masks without an image, left out: 1 (lone.nii.gz)" in said(found)

    def test_a_count_that_differs_is_said(self, root):
        change(root, numTraining=5)

        assert "not the number of cases that are there: 1 (5 named, 3 there)" in said(
            find_patients(root, SETTINGS)
        )

    def test_attributes_come_from_the_table_beside(self, root):
        (root / "data.csv").write_text("patient,age\na_1,40\n")

        assert find_patients(root, SETTINGS).patients[0].attributes == {"age": "40"}


class TestRecognition:
    def test_a_set_is_known_by_its_file(self, root, tmp_path):
        assert looks_like(root) and looks_like(root.parent)
        assert not looks_like(root / "imagesTr") and not looks_like(tmp_path / "nowhere")

    def test_regions_are_taken_over_with_the_whole_first(self, root):
        change(root, labels={"background": 0, "core": [2, 3], "whole": [1, 2, 3], "ignore": 4})

        found = channels_and_labels(root)

        assert (found.count, found.channels, found.ignored) == (4, files.NAMES, (4,))
        assert list(found.regions.items()) == [("whole", (1, 2, 3)), ("core", (2, 3))]

    def test_labels_get_a_first_region_of_them_all_and_plain_names(self, root):
        change(root, labels={"background": 0, "Ödem (1)": 1, "non-enhancing tumor": 2, "tumour": 3})

        regions = channels_and_labels(root).regions

        assert list(regions.items()) == [
            ("tumour_2", (1, 2, 3)),
            ("Odem_1", (1,)),
            ("non-enhancing_tumor", (2,)),
            ("tumour", (3,)),
        ]

    def test_what_it_says_is_what_a_study_takes(self, root):
        found = channels_and_labels(root)
        settings = replace(SETTINGS, channels=found.channels, regions=tuple(found.regions.items()))

        assert len(find_patients(root, settings).patients) == 3
        assert json.loads((root / "dataset.json").read_text())["numTraining"] == 3
